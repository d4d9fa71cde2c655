"""`selfgen.measure` on models whose bias is known, with bugs that are known, and in parts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import selfgen
from selfgen.cli.main import main
from selfgen.core.errors import UserError
from selfgen.core.spec import Sampling
from selfgen.data.prompts import load_tokenizer
from selfgen.data.turns import turns
from selfgen.generation import free
from selfgen.generation.decoding import Prompt
from selfgen.measures.checks import Check
from selfgen.models import loading
from selfgen.report.measured.found import Found
from tests.tiny import tiny

PROMPTS = 40
GIVEN: dict[str, Any] = {"max_answer_tokens": 40, "prompts": PROMPTS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("model"))


@pytest.fixture
def words(folder: Path) -> Any:
    return load_tokenizer(folder)


def peaked(folder: Path, seed: int, *, bigram: bool = False) -> Any:
    """A model that is surer than random weights are; ``bigram``: of a context it reads the
    last token alone."""
    model = loading.load(folder)
    torch.manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.normal_(0, 0.3)
        if bigram:
            for layer in model.model.layers:
                layer.self_attn.o_proj.weight.zero_()
    return model.eval()


def drawn(model: Any, words: Any, *, seed: int = 77) -> list[dict[str, str]]:
    """Prompts with references that the model itself draws."""
    asked = [f"Number {n}?" for n in range(PROMPTS)]
    prompts = [
        Prompt(text, 0, words.apply_chat_template([{"role": "user", "content": text}],
               add_generation_prompt=True, return_dict=False))
        for text in asked
    ]  # fmt: skip
    made = free.run(
        model, words, prompts, Sampling(temperature=1.0), seed=seed, max_new_tokens=39
    )
    return [{"prompt": row["id"], "reference": row["text"] or "."} for row in made]


def told(found: Found, name: str) -> tuple[float, float, float]:
    number = found.number(name)
    assert number is not None
    return number.value.value, number.value.low, number.value.high


def test_references_of_the_model_itself_show_no_bias(folder: Path, words: Any) -> None:
    """Own and reference contexts are then of one distribution."""
    model, oracle = peaked(folder, 1), peaked(folder, 2)
    found = selfgen.measure(
        model,
        words,
        drawn(model, words),
        oracle=oracle,
        oracle_tokenizer=words,
        confidence=0.99,
        **GIVEN,
    )
    for name in ("gap_free", "oracle_nll"):
        _, low, high = told(found, name)
        assert low <= 0 <= high, name
    _, low, high = told(found, "eb_m")
    assert low <= 1 <= high
    own, reference = told(found, "entropy_own"), told(found, "entropy_reference")
    assert own[1] <= reference[2] and reference[1] <= own[2]


def test_an_oracle_that_is_the_model_finds_no_error(folder: Path, words: Any) -> None:
    model = peaked(folder, 1)
    found = selfgen.measure(
        model, words, drawn(model, words), oracle=model, oracle_tokenizer=words, **GIVEN
    )
    for name in ("r_fixed", "g_fixed", "gap_free"):
        assert told(found, name)[0] == pytest.approx(0, abs=1e-6)
    assert told(found, "ece_oracle_own")[0] == pytest.approx(0, abs=1e-5)


def test_a_model_that_reads_one_token_has_forgotten_an_error_after_one(
    folder: Path, words: Any
) -> None:
    model = peaked(folder, 3, bigram=True)
    rows = drawn(peaked(folder, 4), words)
    found = selfgen.measure(model, words, rows, **GIVEN)
    (by_id,) = found.rows[found.first].values()
    for kind in ("random", "own", "shuffled"):
        effects = [row[f"planted_{kind}"] for row in by_id.values()]
        read = [effect for effect in effects if effect]
        assert len(read) > PROMPTS / 2
        assert any(abs(effect[0]) > 0.1 for effect in read)
        later = [abs(x) for effect in read for x in effect[1:]]
        assert max(later) < 1e-4


def test_tokens_that_change_nothing_are_planted_nowhere(
    folder: Path, words: Any
) -> None:
    rows = [{"prompt": f"{n}", "reference": "a" * 30} for n in range(PROMPTS)]
    found = selfgen.measure(peaked(folder, 1), words, rows, **GIVEN)
    (by_id,) = found.rows[found.first].values()
    # The place may stand behind the last letter, whose window has nothing else either.
    assert all(row["planted_shuffled"] is None for row in by_id.values())
    assert found.number("planted_shuffled") is None
    assert found.number("planted_own") is not None


def test_against_a_model_is_the_difference_on_the_same_prompts(
    folder: Path, words: Any
) -> None:
    models = [peaked(folder, seed) for seed in (1, 2)]
    rows = drawn(models[0], words)
    one, other = (
        selfgen.measure(model, words, rows, name=f"m{n}", **GIVEN)
        for n, model in enumerate(models)
    )
    table = one.against(other).table()
    second = table[table.model == "m1"].set_index("measure")
    first = table[table.model == "m0"].set_index("measure")
    for name in ("nll", "entropy_reference", "free_wrong"):
        gap = first.value[name] - second.value[name]
        assert second.difference[name] == pytest.approx(gap)
    # Whose references they are is surely cheaper to the model that wrote them.
    assert second.difference_high["nll"] < 0
    with pytest.raises(UserError, match="two models of the name m0"):
        one.against(one)


def test_an_oracle_with_other_tokens_is_refused(
    folder: Path, words: Any, tmp_path: Path
) -> None:
    other = load_tokenizer(tiny(tmp_path / "other"))
    other.add_tokens(["selfgen"])
    swapped = json.loads(other.backend_tokenizer.to_str())
    vocabulary = swapped["model"]["vocab"]
    a, b = sorted(vocabulary, key=vocabulary.get)[5:7]
    vocabulary[a], vocabulary[b] = vocabulary[b], vocabulary[a]
    other._tokenizer = other.backend_tokenizer.from_str(json.dumps(swapped))
    model = peaked(folder, 1)
    with pytest.raises(UserError, match="an oracle with the model's vocabulary"):
        selfgen.measure(
            model,
            words,
            ROWS,
            oracle=model,
            oracle_tokenizer=other,
            **GIVEN,
        )


# Bugs that look like exposure bias


ROWS = [{"prompt": f"Say {n}.", "reference": "It is so."} for n in range(PROMPTS)]


def trained(
    folder: Path, words: Any, edit: Callable[[list[int], list[int]], Sequence[Any]]
) -> tuple[Any, list[dict[str, Any]]]:
    """A model that knows rows by heart, whose ids and labels ``edit`` made; and the rows."""
    rows = []
    for row in selfgen.sft_rows(ROWS[:8], words):
        ids, labels = edit(list(row["input_ids"]), list(row["labels"]))
        rows.append({"input_ids": ids, "labels": labels})
    model = peaked(folder, 1)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for step in range(150):
        row = rows[step % len(rows)]
        ids, labels = (torch.tensor([row[k]]) for k in ("input_ids", "labels"))
        model(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval(), rows


def wrong(found: Found) -> dict[str, str]:
    checks: Sequence[Check] = found.checks[found.first]
    return {check.name: check.found for check in checks if not check.ok}


def test_a_model_that_was_trained_rightly_has_no_bug(folder: Path, words: Any) -> None:
    model, rows = trained(folder, words, lambda ids, labels: (ids, labels))
    found = selfgen.measure(model, words, ROWS[:8], training_rows=rows, **GIVEN)
    assert wrong(found) == {}
    assert told(found, "ended_answer")[0] == 1


def test_an_end_without_a_label(folder: Path, words: Any) -> None:
    model, rows = trained(
        folder, words, lambda ids, labels: (ids, [*labels[:-1], -100])
    )
    found = selfgen.measure(model, words, ROWS[:8], training_rows=rows, **GIVEN)
    assert "0 of 8 answers" in wrong(found)["labels: end"]
    assert "the model never ends" in wrong(found)["end of answers"]
    assert any("the model never ends" in line for line in str(found).splitlines())


def test_a_turn_that_is_closed_by_another_token(folder: Path, words: Any) -> None:
    end = turns(words).end
    other = next(i for i in sorted(turns(words).special) if i != end)

    def edit(ids: list[int], labels: list[int]) -> Sequence[Any]:
        return [*ids[:-1], other], [*labels[:-1], other]

    model, _ = trained(folder, words, edit)
    model.generation_config.eos_token_id = None
    found = selfgen.measure(model, words, ROWS[:8], **GIVEN)
    name = words.convert_ids_to_tokens(other)
    assert repr(name) in wrong(found)["turn end"]


def test_a_template_that_the_model_was_not_trained_with(
    folder: Path, words: Any
) -> None:
    def edit(ids: list[int], labels: list[int]) -> Sequence[Any]:
        text = words.decode(ids).split("user\n")[1].split("<|im_end|>")[0]
        start = next(t for t, label in enumerate(labels) if label != -100)
        bare = words(text + "\n", add_special_tokens=False)["input_ids"]
        bos = [] if words.bos_token_id is None else [words.bos_token_id]
        head = [*bos, *bare]
        return [*head, *ids[start:]], [-100] * len(head) + labels[start:]

    model, _ = trained(folder, words, edit)
    found = selfgen.measure(model, words, ROWS[:8], **GIVEN)
    assert "trained on another form" in wrong(found)["prompt without the chat template"]


def test_an_adapter_that_changes_nothing(folder: Path, words: Any) -> None:
    import peft

    config = peft.LoraConfig(target_modules=["q_proj"], task_type="CAUSAL_LM")
    model = peft.get_peft_model(peaked(folder, 1), config)
    found = selfgen.measure(model, words, ROWS[:8], **GIVEN)
    assert "changes nothing" in wrong(found)["adapter"]


# Parts, shards and files


def test_a_call_that_was_killed_goes_on_and_shards_give_the_same(
    folder: Path, words: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from selfgen.library import measure as module

    monkeypatch.setattr(module, "CHUNK", 6)
    model = peaked(folder, 1)
    given = {**GIVEN, "prompts": 20}
    whole = selfgen.measure(model, words, ROWS, **given)
    kept = tmp_path / "shards"
    for shard in ((0, 2), (1, 2)):
        try:
            selfgen.measure(model, words, ROWS, out=kept, shard=shard, **given)
        except UserError as error:
            assert shard == (0, 2) and "2 of 4 parts" in str(error)
    (kept / "rows-00002.parquet").unlink()
    done: list[tuple[int, int]] = []
    again = selfgen.measure(
        model, words, ROWS, out=kept, progress=lambda *x: done.append(x), **given
    )
    assert len(done) == 1
    assert again.json() == whole.json()
    with pytest.raises(UserError, match="other settings"):
        selfgen.measure(model, words, ROWS, out=kept, **{**given, "seed": 5})


def test_one_prompt_says_nothing_of_others(folder: Path, words: Any) -> None:
    with pytest.raises(UserError, match="prompts: found 1, allowed: 2 or more"):
        selfgen.measure(folder, words, ROWS, prompts=1)
    with pytest.raises(
        UserError, match=r"allowed: those with a checker, .*group-words"
    ):
        selfgen.measure(folder, words, ROWS, task="qa")


def test_the_command_writes_a_page_and_says_what_it_found(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "page"
    call = ["measure", str(folder), "--task", "group-words", "--prompts", "4"]
    size = ["--max-answer-tokens", "150", "--device", "cpu", "--threads", "1"]
    assert main([*call, *size, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "exposure bias" in said and "measure.html" in said
    document = json.loads((out / "measure.json").read_text())
    names = {line["measure"] for line in document["measures"]}
    assert {"steps_excess", "planted_own", "repetition_sample"} <= names
    assert all(line["prompts"] <= 4 for line in document["measures"])
    page = (out / "measure.md").read_text()
    assert (
        "## What they are, and cannot show" in page and "steps that are wrong" in page
    )
    assert "\\begin{table" in (out / "measure.tex").read_text()
    assert str(tmp_path) not in (out / "measure.html").read_text()
    assert main([*call, *size, "--out", str(out), "--shard", "2/2"]) == 1
    assert "--shard: found '2/2', allowed: I/N" in capsys.readouterr().err

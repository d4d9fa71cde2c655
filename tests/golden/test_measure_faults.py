"""What once made the instrument see exposure bias where there is none, compare what does not
compare, or end where it should not: each by hand, or on a tiny model."""

from __future__ import annotations

import json
import math
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import selfgen
from selfgen.cli.main import main
from selfgen.core.errors import UserError
from selfgen.data.examples import Example
from selfgen.data.prompts import load_tokenizer
from selfgen.data.turns import turns
from selfgen.generation import ends
from selfgen.measures import checks, reading
from selfgen.measures.base import Rows, difference, interval
from selfgen.measures.registry import MEASURES
from selfgen.models import loading
from selfgen.report.measured import words as said
from selfgen.report.measured.found import Found
from tests.measured_rows import whole
from tests.tiny import tiny

BY_NAME = {measure.name: measure for measure in MEASURES}
ASKED = [{"prompt": f"Number {n}?", "reference": f"It is {n}."} for n in range(9)]
GIVEN: dict[str, Any] = {"prompts": 9, "max_answer_tokens": 24, "device": "cpu"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("model"))


def under(rows: list[dict[str, Any]]) -> Rows:
    """Rows of one seed, of what a whole row has besides."""
    stream = random.Random(0)
    return {0: {f"p{n}": whole(stream) | row for n, row in enumerate(rows)}}


def bare(rows: list[dict[str, Any]]) -> Rows:
    """As ``under``, without an oracle or a checker."""
    nothing = ("free_kl", "fixed_kl", "gold_kl", "steps_free", "steps_forced")
    return under([dict.fromkeys(nothing) | row for row in rows])


def test_answers_that_run_on_behind_their_end_are_no_bias() -> None:
    """Of a model whose errors are the same on both contexts, and grow where it is not let
    end."""
    noise = np.random.default_rng(0).normal(0, 0.01, (20, 2, 32))
    rows = [
        {
            "gold_kl": list(0.1 + gold),
            "free_kl": list(0.1 + free),
            "fixed_kl": [0.1] * 8 + [1.0] * 24,
            "steps_free": None,
        }
        for gold, free in noise
    ]
    found = Found({"m": under(rows)}, {})
    assert found.number("gap_fixed").value.low > 0
    (line,) = [x for x in said.answers(found) if "exposure bias" in x]
    assert line.startswith("m is not shown to have exposure bias")


def test_another_wording_is_not_called_exposure_bias() -> None:
    """Without a checker or an oracle nobody can tell them apart, nor rank models."""
    rows = [
        {"free_wrong": [True] * 20, "forced_wrong": [n % 2 == 0] * 20}
        for n in range(12)
    ]
    other = [{**row, "free_wrong": [False] * 20} for row in rows]
    found = Found({"a": bare(rows), "b": bare(other)}, {})
    line, *more = said.answers(found)
    assert not any("exposure bias" in one for one in more)
    assert line.startswith("a's answers leave the reference (") and "--oracle" in line


def test_where_there_is_no_bias_it_begins_nowhere() -> None:
    rows = [
        {
            "steps_due": 8,
            "steps_free": [""] * 4 + ["order"] * 4,
            "steps_forced": ["order"] * 4 + [""] * 4,
        }
        for _ in range(12)
    ]
    found = Found({"m": under(rows)}, {})
    assert not any("begins" in line for line in said.answers(found))


def test_recovery_is_of_prompts_that_have_all_lags() -> None:
    """An effect that stays, in short references and, smaller, in long ones."""
    short = [{"planted_own": [4.0] * 10} for _ in range(10)]
    long = [{"planted_own": [1.0] * 32} for _ in range(10)]
    rows = under([*short, *long])
    gone = interval(BY_NAME["planted_own_recovered"], rows, 0.95)
    assert gone is not None and gone.value == pytest.approx(0)
    assert interval(BY_NAME["planted_own_half_life"], rows, 0.95) is None


def test_mauve_of_other_numbers_of_texts_has_no_difference() -> None:
    few = under([{"clusters": [n % 2, n % 3, 3]} for n in range(30)])
    more = under([{"clusters": [n % 2, n % 3, 6]} for n in range(60)])
    assert difference(BY_NAME["mauve"], few, more, 0.95) is None


def test_no_end_is_planted(folder: Path) -> None:
    model, words = loading.load(folder), load_tokenizer(folder)
    found = selfgen.measure(model, words, ASKED, **GIVEN)
    (rows,) = found.rows[found.first].values()
    stops = ends.stops(model, words)
    examples = [
        Example(i, "", [1], list(row["reference_ids"])) for i, row in rows.items()
    ]
    assert all(row["reference_ids"][-1] in stops for row in rows.values())
    own = reading.Instrument(model, words, None, examples)  # type: ignore[arg-type]
    assert own.pool and not set(own.pool) & stops
    # A model that would end everywhere
    with_end = {name: weight.clone() for name, weight in model.state_dict().items()}
    model.lm_head.weight.data.zero_()
    for read in own.read(examples):
        assert not set(read.rival) & stops
    model.load_state_dict(with_end)


def test_one_of_those_that_ask_the_same_is_read() -> None:
    records = [
        {"id": f"{n}", "prompt": f"{n % 3}", "reference": f"{n}", "history": []}
        for n in range(12)
    ]
    found = reading.chosen(records, 8)
    assert sorted(r["prompt"] for r in found) == ["0", "1", "2"]


def test_a_bare_prompt_is_no_longer_than_the_asked_one_may_be(folder: Path) -> None:
    rows = [
        {"prompt": f"{n} " + "word " * (4000 if n else 2), "reference": "Yes."}
        for n in range(4)
    ]
    given = {**GIVEN, "max_prompt_tokens": 100}
    found = selfgen.measure(folder, None, rows, **given)
    (by_id,) = found.rows[found.first].values()
    assert sum(row["nll_bare"] is not None for row in by_id.values()) == 1


# What compares


@pytest.mark.parametrize(
    ("data", "given", "message"),
    [
        ([{**x, "prompt": f"{x['prompt']} Say."} for x in ASKED], {}, "other prompts"),
        (ASKED, {"max_answer_tokens": 9}, "found answers"),
        (ASKED, {"seed": 4}, "found answers"),
    ],
)
def test_what_does_not_compare_is_refused(
    folder: Path, data: list[dict[str, str]], given: dict[str, Any], message: str
) -> None:
    first, second = (
        selfgen.measure(folder, None, rows, name=name, **(GIVEN | more))
        for name, rows, more in (("a", ASKED, {}), ("b", data, given))
    )
    with pytest.raises(UserError, match=message):
        first.against(second)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"shard": (0, 0)}, "shard: found"),
        ({"shard": (2, 2)}, "shard: found"),
        ({"confidence": 95}, "confidence: found 95"),
    ],
)
def test_numbers_that_are_none(
    folder: Path, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        selfgen.measure(folder, None, ASKED, **(GIVEN | given))


def test_a_file_of_one_row_and_a_checked_reference_that_is_cut(folder: Path) -> None:
    with pytest.raises(UserError, match="data: found one prompt"):
        selfgen.measure(folder, None, ASKED[:1], **GIVEN)
    with pytest.raises(UserError, match="max_answer_tokens: found 24, allowed: more"):
        selfgen.measure(folder, task="group-words", **GIVEN)


def test_the_document_is_json_where_a_number_has_no_interval(folder: Path) -> None:
    """One reference alone is long enough for planted errors."""
    data = [{**asked, "reference": "1"} for asked in ASKED[:4]]
    data.append({"prompt": "Count.", "reference": "one, two, " * 8})
    found = selfgen.measure(folder, None, data, **(GIVEN | {"max_answer_tokens": 90}))

    def refuse(word: str) -> None:
        raise AssertionError(word)

    document = json.loads(found.json(), parse_constant=refuse)
    assert any(line["low"] is None for line in document["measures"])
    assert all(math.isfinite(line["value"]) for line in document["measures"])


def test_the_answer_s_end_is_what_needs_a_label(folder: Path) -> None:
    """As columns of Parquet come, with a labelled prompt whose turn has an end."""
    model, words = loading.load(folder), load_tokenizer(folder)
    end = turns(words).end
    rows = [
        {
            "input_ids": np.array([5, end, 6, 7, end]),
            "labels": np.array([5, end, 6, 7, -100]),
        }
    ] * 4
    (first, *_) = [
        x for x in checks._labels(model, words, rows) if x.name == "labels: end"
    ]
    assert not first.ok and "in 0 of 4 answers" in first.found


# Chat templates


def test_a_base_model_is_asked_in_the_template_that_is_named(
    folder: Path, tmp_path: Path
) -> None:
    """And an oracle needs none."""
    base = tmp_path / "base"
    shutil.copytree(folder, base)
    (base / "chat_template.jinja").unlink()
    with pytest.raises(UserError, match=r"no chat template.*--chat"):
        selfgen.measure(base, None, ASKED, **GIVEN)
    with pytest.raises(UserError, match="chat: found 'none', allowed: chatml"):
        selfgen.measure(base, None, ASKED, chat="none", **GIVEN)
    asked, own = (
        selfgen.measure(where, None, ASKED, chat=chat, oracle=base, name="m", **GIVEN)
        for where, chat in ((base, "chatml"), (folder, ""))
    )
    assert [x.value for x in asked.numbers] == [x.value for x in own.numbers]
    (rows,) = asked.rows["m"].values()
    assert all(max(row["fixed_kl"]) < 1e-6 for row in rows.values())


def test_a_caller_s_oracle_gets_its_mode_back(folder: Path) -> None:
    oracle, words = loading.load(folder).train(), load_tokenizer(folder)
    found = selfgen.measure(
        folder, None, ASKED, oracle=oracle, oracle_tokenizer=words, **GIVEN
    )
    assert oracle.training
    (rows,) = found.rows[found.first].values()
    assert all(max(row["fixed_kl"]) < 1e-6 for row in rows.values())


# Shards


def test_shards_of_two_models(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from selfgen.library import measure as module

    monkeypatch.setattr(module, "CHUNK", 3)
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, ASKED)))
    other = tiny(tmp_path / "other", num_hidden_layers=1)
    call = ["measure", str(folder), "--data", str(tmp_path / "rows.jsonl")]
    call += ["--against", str(other), "--out", str(tmp_path / "page"), "--threads", "1"]
    call += ["--max-answer-tokens", "24", "--device", "cpu"]
    assert main([*call, "--shard", "0/2"]) == 0
    assert capsys.readouterr().out.count("found 1 of 3 parts that other shards") == 2
    assert main([*call, "--shard", "1/2"]) == 0
    (tmp_path / "page" / "measure.json").unlink(missing_ok=True)
    assert main(call) == 0
    models = {
        x["model"]
        for x in json.loads((tmp_path / "page/measure.json").read_text())["measures"]
    }
    assert len(models) == 2


def test_another_chat_template_is_another_folder(folder: Path, tmp_path: Path) -> None:
    model, words = loading.load(folder), load_tokenizer(folder)
    out = tmp_path / "parts"
    selfgen.measure(model, words, ASKED, out=out, **GIVEN)
    words.chat_template = "Hello. " + words.chat_template
    with pytest.raises(UserError, match="other settings"):
        selfgen.measure(model, words, ASKED, out=out, **GIVEN)

"""The forced pass against an oracle that imports nothing of selfgen."""

from __future__ import annotations

import random
from typing import Any
from unittest import mock

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from selfgen.core.errors import UserError
from selfgen.core.spec import Device, Sampling
from selfgen.data.prompts import PromptSpec
from selfgen.generation import engines, forced, free
from selfgen.generation.decoding import Prompt
from selfgen.generation.spec import PassSpec
from selfgen.generation.speculative import Cost
from tests.golden import oracle
from tests.golden.conftest import EOS, KINDS, SPECIAL, VOCABULARY, build, built, words

BETAS = [0.0, 0.1, 0.25, 0.5, 0.9, 1.0]
PROMPT = PromptSpec("{prompt}", "", 100, 100)
Rows = list[forced.Reference]


def spec_of(**changes: Any) -> PassSpec:
    fields = {
        "kind": "forced",
        "seed": 7,
        "rows": (0, 1),
        "epochs": 1,
        "prompt": PROMPT,
        "sampling": Sampling(1.0),
        "device": Device("cpu", "fp32"),
        "beta": 0.5,
    }
    return PassSpec(**(fields | changes))


def references(n: int, seed: int = 0, longest: int = 12) -> Rows:
    """Ragged prompts and answers, with EOS inside some of them."""
    stream = random.Random(seed)
    rows = []
    for i in range(n):
        prompt = [
            stream.randrange(3, VOCABULARY) for _ in range(stream.randint(1, longest))
        ]
        answer = [
            stream.randrange(3, VOCABULARY) for _ in range(stream.randint(1, longest))
        ]
        if i % 3 == 1:
            answer[len(answer) // 2] = EOS
        rows.append(forced.Reference(f"r{i}", i % 2, prompt, [*answer, EOS]))
    return rows


def unmixed(answers: list[forced.Reference]) -> list[dict[str, Any]]:
    """Training rows of references, which nothing has mixed yet."""
    return [
        {
            "step": 0,
            "id": row.id,
            "epoch": row.epoch,
            "input_ids": [*row.prompt_ids, *row.answer_ids],
            "labels": [-100] * len(row.prompt_ids) + list(row.answer_ids),
        }
        for row in answers
    ]


def made(
    model: Any,
    rows: Rows,
    spec: PassSpec,
    engine: str,
    overhead: float = 64.0,
    batch_size: int = 4,
) -> dict[str, tuple[list[int], list[bool]]]:
    with mock.patch.dict(engines.COST, cpu=Cost(overhead, 0.0)):
        how = {"engine": engine, "batch_size": batch_size}
        out = list(forced.run(model, rows, spec, SPECIAL, [EOS], **how))
    return {row["id"]: (row["tokens"], row["drawn"]) for row in out}


def expected(
    model: Any, rows: Rows, spec: PassSpec
) -> dict[str, tuple[list[int], list[bool]]]:
    return {
        row.id: oracle.mixed(
            model,
            row,
            spec.seed,
            list(row.rates or [spec.beta] * len(row.answer_ids)),
            SPECIAL,
            spec.sampling,
            onepass=spec.kind == "onepass",
        )
        for row in rows
    }


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_onepass_equals_the_oracle(model: Any, temperature: float, beta: float) -> None:
    spec = spec_of(kind="onepass", beta=beta, sampling=Sampling(temperature))
    rows = references(7)
    assert made(model, rows, spec, "auto") == expected(model, rows, spec)


def test_rac_token_by_token_is_bash_with_beta_1(model: Any) -> None:
    """The context of each label is the model's own draft up to there: at beta 1 the pass
    fills in the greedy draft that nothing ends, as long as the reference; its last token is
    no context, so the reference's stands there."""
    answers = references(9)
    spec = spec_of(beta=1.0, sampling=Sampling())
    passed = forced.run(model, answers, spec, SPECIAL, [EOS])
    tokens = {row["id"]: row["tokens"] for row in passed}
    for row in answers:
        ((_, draft),) = free.complete(
            model,
            words(),
            [Prompt(row.id, row.epoch, row.prompt_ids)],
            Sampling(),
            seed=0,
            max_new_tokens=len(row.answer_ids),
            ends_turns=False,
        )
        assert tokens[row.id] == [*draft[:-1], row.answer_ids[-1]]


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    kind=st.sampled_from(list(KINDS)),
    weights=st.integers(0, 4),
    beta=st.sampled_from(BETAS),
    sampling=st.sampled_from(
        [Sampling(), Sampling(1.0), Sampling(5.0), Sampling(9.0, 7, 0.8)]
    ),
    content=st.integers(0, 10**6),
    n=st.integers(1, 7),
    batch_size=st.integers(1, 5),
    overhead=st.sampled_from([0.0, 20.0, 1e6]),
)
def test_every_exact_engine_equals_the_oracle(
    kind: str,
    weights: int,
    beta: float,
    sampling: Sampling,
    content: int,
    n: int,
    batch_size: int,
    overhead: float,
) -> None:
    """``overhead`` decides how far the speculative engine reads on over guesses: never, now
    and then, to the end."""
    model, rows = built(kind, weights), references(n, content)
    spec = spec_of(beta=beta, sampling=sampling)
    wanted = expected(model, rows, spec)
    size = {"batch_size": batch_size}
    assert made(model, rows, spec, "sequential", **size) == wanted
    assert made(model, rows, spec, "speculative", overhead, **size) == wanted


def test_long_rows_and_a_common_beginning(model: Any) -> None:
    """Prompts that share a beginning, and answers of many more tokens than a window."""
    shared = [3 + i % 28 for i in range(20)]
    rows = [
        forced.Reference(r.id, r.epoch, [*shared, *r.prompt_ids], r.answer_ids)
        for r in references(6, longest=50)
    ]
    spec = spec_of(beta=0.3)
    wanted = expected(model, rows, spec)
    for overhead in (0.0, 50.0, 1e6):
        assert made(model, rows, spec, "speculative", overhead, 3) == wanted
    assert made(model, rows, spec, "sequential", batch_size=3) == wanted


def test_little_room_changes_nothing(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prompts are read in parts when a pass takes few tokens."""
    monkeypatch.setattr("selfgen.generation.speculative.STEP_TOKENS", {"cpu": 5})
    rows = references(9, longest=25)
    wanted = expected(model, rows, spec_of())
    for overhead in (0.0, 1e6):
        assert made(model, rows, spec_of(), "speculative", overhead) == wanted


def test_every_position_has_its_own_rate(model: Any) -> None:
    """A rate that falls to 0: the last third is the reference, the first is drawn."""
    rows = []
    for row in references(8, longest=24):
        n = len(row.answer_ids)
        rates = [max(0.0, 1 - 1.5 * t / n) for t in range(n)]
        rows.append(
            forced.Reference(row.id, row.epoch, row.prompt_ids, row.answer_ids, rates)
        )
    wanted = expected(model, rows, spec_of())
    for engine in ("sequential", "speculative"):
        assert made(model, rows, spec_of(), engine) == wanted
    drawn = [mask for _, mask in wanted.values()]
    assert any(mask[0] for mask in drawn)
    assert not any(t for mask in drawn for t in mask[2 * len(mask) // 3 + 1 :])


@pytest.mark.parametrize("merged", [False, True])
def test_lora(merged: bool) -> None:
    from peft import LoraConfig, get_peft_model

    base = build("llama")
    adapted = get_peft_model(
        base,
        LoraConfig(
            r=4, lora_alpha=64, target_modules="all-linear", init_lora_weights=False
        ),
    ).eval()
    model = adapted.merge_and_unload() if merged else adapted
    rows, spec = references(6), spec_of()
    wanted = expected(model, rows, spec)
    assert wanted != expected(built("llama"), rows, spec), "the adapter does something"
    for engine in ("sequential", "speculative"):
        assert made(model, rows, spec, engine) == wanted


def test_what_is_not_drawn_is_the_reference(model: Any) -> None:
    rows = references(9)
    out = made(model, rows, spec_of(), "auto")
    for row in rows:
        tokens, mask = out[row.id]
        assert len(tokens) == len(row.answer_ids)
        assert not mask[-1], "the closing EOS is never mixed"
        for token, reference, drawn in zip(tokens, row.answer_ids, mask, strict=True):
            assert token not in SPECIAL if drawn else token == reference


def test_eos_may_be_kept(model: Any) -> None:
    """With ``keep``, EOS is drawn somewhere; every other special token never is."""
    rows = references(40)
    spec = spec_of(beta=1.0, eos="keep", sampling=Sampling(50.0))
    out = made(model, rows, spec, "auto").values()
    drawn = [t for tokens, mask in out for t, d in zip(tokens, mask, strict=True) if d]
    assert EOS in drawn
    assert not set(drawn) & {0, 1}


@pytest.mark.parametrize("batch_size", [1, 3, 64])
@pytest.mark.parametrize("shards", [1, 4])
def test_batches_and_shards_change_nothing(
    model: Any, batch_size: int, shards: int
) -> None:
    rows = references(11)
    alone = {r["id"]: r for r in forced.run(model, rows, spec_of(), SPECIAL, [EOS])}
    size = {"batch_size": batch_size, "shards": shards}
    parts = [
        row
        for shard in range(shards)
        for row in forced.run(
            model, rows[::-1], spec_of(), SPECIAL, [EOS], shard=shard, **size
        )
    ]
    assert len(parts) == len(rows)
    assert {row["id"]: row for row in parts} == alone


def test_mask_follows_beta_and_grows_with_it() -> None:
    row = forced.Reference("x", 0, [3], [5] * 4000)
    low, high = (forced.mixing_mask(0, row, beta) for beta in (0.25, 0.5))
    assert 0.22 < sum(low) / 4000 < 0.28
    assert 0.47 < sum(high) / 4000 < 0.53
    assert all(h or not w for w, h in zip(low, high, strict=True))


def test_rates_outside_0_to_1_are_refused() -> None:
    row = forced.Reference("x", 0, [3], [5, 6, EOS])
    with pytest.raises(UserError, match=r"beta: found 1\.5, allowed is 0 to 1"):
        forced.mixing_mask(0, row, 1.5)
    short = forced.Reference("x", 0, [3], [5, 6, EOS], [0.5])
    with pytest.raises(UserError, match="rates: found 1 for the 3 tokens of x"):
        forced.mixing_mask(0, short, 0.0)


@pytest.mark.parametrize("engine", ["sequential", "speculative"])
def test_distribution_of_whole_answers(engine: str) -> None:
    """Every mixed answer of three tokens over five token ids, counted over many example
    ids, against its probability: rate and softmax on the mixed prefix, multiplied out."""
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(3)
    config = AutoConfig.for_model(
        "llama",
        vocab_size=8,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        pad_token_id=0,
    )
    model = AutoModelForCausalLM.from_config(config).eval()
    model.get_output_embeddings().weight.data.mul_(15)
    n, beta, prompt, answer = 4000, 0.6, [5, 3], [4, 6, 7, EOS]
    rows = [forced.Reference(f"s{i}", 0, prompt, answer) for i in range(n)]
    spec = spec_of(beta=beta)
    out = made(model, rows, spec, engine, 1e6, batch_size=500)
    counts: dict[tuple[int, ...], int] = {}
    for tokens, _ in out.values():
        counts[tuple(tokens[:3])] = counts.get(tuple(tokens[:3]), 0) + 1
    chances: dict[tuple[int, ...], float] = {(): 1.0}
    for t in range(3):
        longer = {}
        for prefix, chance in chances.items():
            with torch.no_grad():
                logits = model(torch.tensor([[*prompt, *prefix]])).logits[0, -1]
            logits[SPECIAL] = -torch.inf
            for token, own in enumerate(logits.softmax(-1).tolist()):
                share = beta * own + (1 - beta) * (token == answer[t])
                if share:
                    longer[(*prefix, token)] = chance * share
        chances = longer
    assert len(chances) == 125
    assert sum(chances.values()) == pytest.approx(1)
    # Answers that are expected less than eight times are counted together.
    often = {p: c * n for p, c in chances.items() if c * n >= 8}
    rest = n - sum(often.values())
    seen_rest = n - sum(counts.get(p, 0) for p in often)
    statistic = sum((counts.get(p, 0) - e) ** 2 / e for p, e in often.items())
    statistic += (seen_rest - rest) ** 2 / rest
    assert statistic < chi2.ppf(0.9995, len(often))

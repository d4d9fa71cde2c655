"""The forced pass against an oracle that imports nothing of selfgen's engines.

The oracle does one row at a time, without cache or padding: at each position a full forward
pass over the prefix, and the token is the model's where the mask says so.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

from selfgen.generation import forced
from selfgen.generation.draws import gumbel, row_key
from selfgen.specs import Device, PassSpec, PromptSpec, Sampling
from tests.golden.conftest import EOS, SPECIAL, VOCABULARY

PROMPT = PromptSpec("{prompt}", "", 100, 100)


def spec_of(**changes: Any) -> PassSpec:
    fields = {
        "kind": "forced",
        "seed": 7,
        "rows": (0, 1),
        "epochs": 1,
        "prompt": PROMPT,
        "sampling": Sampling(1.0),
        "device": Device("cpu", "fp32"),
        "batch_size": 4,
        "beta": 0.5,
    }
    return PassSpec(**(fields | changes))


def references(n: int, seed: int = 0) -> list[forced.Reference]:
    """Ragged prompts and answers, with an EOS inside one of them."""
    stream = random.Random(seed)
    rows = []
    for i in range(n):
        prompt = [stream.randrange(3, VOCABULARY) for _ in range(stream.randint(1, 9))]
        answer = [stream.randrange(3, VOCABULARY) for _ in range(stream.randint(1, 12))]
        if i == 1:
            answer[len(answer) // 2] = EOS
        rows.append(forced.Reference(f"r{i}", i % 2, prompt, [*answer, EOS]))
    return rows


@torch.inference_mode()
def oracle(
    model: Any,
    row: forced.Reference,
    mask: list[bool],
    spec: PassSpec,
    banned: list[int],
    shift: int = 0,
) -> list[int]:
    """``shift`` 1 is a deliberate off-by-one: it reads the state one position early."""
    key = torch.tensor([row_key(spec.seed, "token", row.epoch, row.id)])
    mixed: list[int] = []
    for t, token in enumerate(row.answer_ids):
        if mask[t]:
            prefix = row.prompt_ids + (
                mixed if spec.kind == "forced" else row.answer_ids[:t]
            )
            logits = model(torch.tensor([prefix])).logits[
                0, -1 - min(shift, len(prefix) - 1)
            ]
            logits[banned] = -torch.inf
            if spec.sampling.temperature:
                logits = logits / spec.sampling.temperature
                logits = logits + gumbel(key, torch.tensor([t]), VOCABULARY)[0].float()
            token = int(logits.argmax())
        mixed.append(token)
    return mixed


@pytest.mark.parametrize("beta", [0.0, 0.1, 0.25, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("kind", ["forced", "onepass"])
def test_equals_the_oracle(
    model: Any, kind: str, temperature: float, beta: float
) -> None:
    spec = spec_of(kind=kind, beta=beta, sampling=Sampling(temperature))
    rows = references(7)
    made = {row["id"]: row for row in forced.run(model, rows, spec, SPECIAL, EOS)}
    assert set(made) == {row.id for row in rows}
    for row in rows:
        mask = made[row.id]["drawn"]
        assert made[row.id]["tokens"] == oracle(model, row, mask, spec, SPECIAL)


def test_the_oracle_would_see_an_off_by_one(model: Any) -> None:
    spec = spec_of(beta=1.0, sampling=Sampling(0.0))
    rows = references(7)
    made = {row["id"]: row for row in forced.run(model, rows, spec, SPECIAL, EOS)}
    wrong = [
        oracle(model, row, made[row.id]["drawn"], spec, SPECIAL, shift=1)
        for row in rows
    ]
    assert wrong != [made[row.id]["tokens"] for row in rows]


def test_what_is_not_drawn_is_the_reference(model: Any) -> None:
    rows = references(9)
    for made in forced.run(model, rows, spec_of(), SPECIAL, EOS):
        row = next(r for r in rows if r.id == made["id"])
        assert len(made["tokens"]) == len(row.answer_ids)
        assert not made["drawn"][-1], "the closing EOS is never mixed"
        for token, reference, drawn in zip(
            made["tokens"], row.answer_ids, made["drawn"], strict=True
        ):
            if drawn:
                assert token not in SPECIAL
            else:
                assert token == reference


def test_beta_zero_is_the_reference(model: Any) -> None:
    rows = references(5)
    for made in forced.run(model, rows, spec_of(beta=0.0), SPECIAL, EOS):
        assert made["tokens"] == next(r for r in rows if r.id == made["id"]).answer_ids


def test_eos_may_be_kept(model: Any) -> None:
    """With ``keep``, EOS is drawn somewhere; every other special token never is."""
    rows = references(40)
    spec = spec_of(beta=1.0, eos="keep", sampling=Sampling(50.0))
    made = list(forced.run(model, rows, spec, SPECIAL, EOS))
    drawn = [t for m in made for t, d in zip(m["tokens"], m["drawn"], strict=True) if d]
    assert EOS in drawn
    assert not set(drawn) & {0, 1}


@pytest.mark.parametrize("batch_size", [1, 3, 64])
@pytest.mark.parametrize("shards", [1, 4])
def test_batches_and_shards_change_nothing(
    model: Any, batch_size: int, shards: int
) -> None:
    rows = references(11)
    alone = {r["id"]: r for r in forced.run(model, rows, spec_of(), SPECIAL, EOS)}
    spec = spec_of(batch_size=batch_size, shards=shards)
    parts = [
        row
        for shard in range(shards)
        for row in forced.run(model, rows[::-1], spec, SPECIAL, EOS, shard=shard)
    ]
    assert len(parts) == len(rows)
    assert {row["id"]: row for row in parts} == alone


def test_mask_follows_beta_and_grows_with_it() -> None:
    row = forced.Reference("x", 0, [3], [5] * 4000)
    low, high = (forced.mixing_mask(0, row, beta) for beta in (0.25, 0.5))
    assert 0.22 < sum(low) / 4000 < 0.28
    assert 0.47 < sum(high) / 4000 < 0.53
    assert all(h or not w for w, h in zip(low, high, strict=True))


def test_sampling_follows_the_softmax(model: Any) -> None:
    """The first token of many ids, against the tempered softmax in closed form."""
    n, prompt = 3000, [5, 9, 4]
    rows = [forced.Reference(f"s{i}", 0, prompt, [3, EOS]) for i in range(n)]
    spec = spec_of(beta=1.0, batch_size=512, sampling=Sampling(15.0))
    made = forced.run(model, rows, spec, SPECIAL, EOS)
    counts = torch.zeros(VOCABULARY)
    for row in made:
        counts[row["tokens"][0]] += 1
    with torch.inference_mode():
        logits = model(torch.tensor([prompt])).logits[0, -1]
        logits[SPECIAL] = -torch.inf
        expected = (logits / 15.0).softmax(-1) * n
    kept = expected > 0
    statistic = ((counts - expected)[kept] ** 2 / expected[kept]).sum()
    # Chi-square with 27 degrees of freedom: 58 is its 0.9995 quantile.
    assert statistic < 58

"""Free generation against ``generate``, and the things that must not change it."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch

from selfgen.core.spec import Sampling
from selfgen.generation import engines, free
from selfgen.generation.decoding import Prompt, Request
from selfgen.generation.sampling import Sampler, truncate
from selfgen.generation.speculative import Cost
from selfgen.models import attention
from tests.golden.conftest import EOS, build, words


def prompts(n: int) -> list[Prompt]:
    return [
        Prompt(f"p{i}", 0, [3 + (7 * i + j) % 28 for j in range(1 + i % 5)])
        for i in range(n)
    ]


def run(model: Any, rows: list[Prompt], **changes: Any) -> dict[str, Any]:
    settings = {"seed": 3, "max_new_tokens": 12, "batch_size": 4} | changes
    sampling = settings.pop("sampling", Sampling())
    made = free.run(model, words(), rows, sampling, **settings)
    return {row["id"]: row for row in made}


def complete(model: Any, rows: list[Prompt], **changes: Any) -> list[list[int]]:
    """The tokens of the answers, in the order of the rows."""
    settings = {"seed": 3, "max_new_tokens": 12, "batch_size": 4} | changes
    sampling = settings.pop("sampling", Sampling())
    made = free.complete(model, words(), rows, sampling, **settings)
    ids = {row.id: ids for row, ids in made}
    return [ids[row.id] for row in rows]


def test_greedy_equals_generate(model: Any) -> None:
    rows = prompts(9)
    made = run(model, rows)
    for row in rows:
        ids = torch.tensor([row.prompt_ids])
        expected = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=12,
            do_sample=False,
            suppress_tokens=[0, 1],
            eos_token_id=EOS,
            pad_token_id=0,
        )[0, len(row.prompt_ids) :].tolist()
        kept = [token for token in expected if token != EOS]
        assert made[row.id]["text"] == " ".join(map(str, kept))
        assert made[row.id]["tokens"] == len(expected)
        assert made[row.id]["ended"] == (expected[-1] == EOS)


def test_answers_of_a_fixed_length_run_on_from_where_they_would_end(model: Any) -> None:
    rows, warm = prompts(11), Sampling(8.0)
    complete = partial(
        free.complete, model, words(), rows, warm, seed=3, max_new_tokens=40
    )
    ending = list(complete())
    fixed = {row.id: ids for row, ids in complete(ends_turns=False)}
    assert any(ids[-1] == EOS for _, ids in ending)
    for row, ids in ending:
        kept = ids[: -1 if ids[-1] == EOS else None]
        assert fixed[row.id][: len(kept)] == kept
        assert len(fixed[row.id]) == 40
        assert EOS not in fixed[row.id]


@pytest.mark.parametrize("batch_size", [1, 5, 32])
def test_sampling_does_not_depend_on_the_batch(model: Any, batch_size: int) -> None:
    rows = prompts(11)
    warm = Sampling(8.0)
    expected = run(model, rows, sampling=warm)
    assert run(model, rows[::-1], sampling=warm, batch_size=batch_size) == expected
    parts: dict[str, Any] = {}
    for shard in range(4):
        parts |= run(
            model, rows, sampling=warm, shard=shard, shards=4, batch_size=batch_size
        )
    assert parts == expected
    assert run(model, rows, sampling=warm, seed=4) != expected


def nested(groups: int) -> list[Prompt]:
    """Prompts of groups: beginnings of one row each, with another last token, and one that
    differs in the middle."""
    rows = []
    for g in range(groups):
        row = [3 + (5 * g + 3 * j) % 28 for j in range(12 + 5 * g)]
        for n in (*range(3, len(row), 2 + g % 3), len(row)):
            ids = [*row[:n], 3 + (n + g) % 28]
            rows.append(Prompt(f"g{g}/{n}", 0, ids, group=f"g{g}"))
        rows.append(Prompt(f"g{g}", 0, row, group=f"g{g}"))
        other = [*row[:4], 3 + (row[4] - 2) % 28, *row[5:9]]
        rows.append(Prompt(f"g{g}/other", 0, other, group=f"g{g}"))
    return rows


@pytest.mark.parametrize("batch_size", [1, 2, 3, 64])
def test_prompts_of_a_group_are_answered_as_any_other(
    model: Any, batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what they share is read once for each that stands in the same slot."""
    # Nothing is worth a guess, which may be wrong and is read then, too.
    monkeypatch.setitem(engines.COST, "cpu", Cost(0.0, 1.0))
    rows = nested(5)
    alone = [Prompt(row.id, 0, row.prompt_ids) for row in rows]
    warm = Sampling(8.0)
    expected = run(model, alone, sampling=warm, engine="sequential")
    facts: list[dict[str, Any]] = [{}, {}]
    for told, each in zip(facts, (alone, rows), strict=True):
        found = run(
            model,
            each,
            sampling=warm,
            engine="speculative",
            batch_size=batch_size,
            facts=told,
        )
        assert found == expected
    apart, together = (told["forwarded_tokens"] for told in facts)
    assert together < apart if batch_size < len(rows) else together == apart


def test_each_group_has_a_slot(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With as many slots as groups nothing is read twice: it costs what each group costs
    alone, one request after the other."""
    # Nothing is worth a guess, which may be wrong and is read then, too.
    monkeypatch.setitem(engines.COST, "cpu", Cost(0.0, 1.0))

    def forwarded(rows: list[Prompt], slots: int) -> int:
        facts: dict[str, Any] = {}
        options = {"seed": 3, "max_new_tokens": 4, "ends_turns": False}
        options |= {"engine": "speculative", "facts": facts, "batch_size": slots}
        made = free.complete(model, words(), rows, Sampling(8.0), **options)
        assert len(list(made)) == len(rows)
        return int(facts["forwarded_tokens"])

    groups = []
    for g in range(4):
        row = [3 + (5 * g + 3 * j) % 28 for j in range(20)]
        prompts = ((n, [*row[:n], 3 + (n + g) % 28]) for n in range(4, 20, 4))
        groups.append([Prompt(f"{g}/{n}", 0, x, group=str(g)) for n, x in prompts])
    together = forwarded([row for rows in groups for row in rows], len(groups))
    assert together == sum(forwarded(rows, 1) for rows in groups)


def test_a_row_without_draws_parts_no_group(model: Any) -> None:
    """An epoch that keeps the reference needs no pass, and what the one before it read is
    there for the one behind it."""
    ids = [[3 + (7 * g + j) % 28 for j in range(9)] for g in range(2)]
    epochs = [([1, 3], 0), ([], 1), ([0, 4], 2)]
    rows = [
        Request(10 * g + epoch, ids[g], 5, [9] * 5, drawn, group=str(g))
        for g in range(2)
        for drawn, epoch in epochs
    ]

    def forwarded(rows: list[Request]) -> int:
        sampler = Sampler(Sampling(1.0), frozenset())
        engine = engines.make("speculative", model, sampler, rows, 1)
        assert len(list(engines.fill(engine, rows, 1))) == len(rows)
        return engine.counts.forwarded

    assert forwarded(rows) == forwarded([row for row in rows if row.drawn])


def test_epochs_of_an_example_are_different_draws(model: Any) -> None:
    ids = [5, 6, 7]
    rows = [Prompt("same", epoch, ids) for epoch in range(6)]
    made = free.run(
        model,
        words(),
        rows,
        Sampling(20.0),
        seed=0,
        max_new_tokens=8,
        batch_size=6,
    )
    assert len({row["text"] for row in made}) > 1


def test_top_k_and_top_p() -> None:
    scores = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]]))
    kept = lambda s: (truncate(scores.clone(), s) > -torch.inf)[0].tolist()  # noqa: E731
    assert kept(Sampling(1.0, top_k=2)) == [True, True, False, False]
    # The smallest set of at least 0.7 of the mass: 0.5 + 0.3.
    assert kept(Sampling(1.0, top_p=0.7)) == [True, True, False, False]
    assert kept(Sampling(1.0, top_p=0.5)) == [True, False, False, False]
    assert kept(Sampling(1.0)) == [True] * 4


def test_grouped_attention_is_used_and_equal() -> None:
    """The same states as transformers' own attention, token by token with a cache."""
    from transformers import DynamicCache

    plain, grouped = build("mistral"), build("mistral")
    attention.use(grouped)
    assert grouped.config._attn_implementation == attention.NAME
    ids = torch.tensor([[3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]])
    mask = torch.ones_like(ids)
    mask[:, :2] = 0
    states = []
    for model in (plain, grouped):
        cache = DynamicCache(config=model.config)
        logits = [
            model(
                ids[:, i : i + 1],
                attention_mask=mask[:, : i + 1],
                past_key_values=cache,
            ).logits
            for i in range(ids.shape[1])
        ]
        states.append(torch.cat(logits, 1)[:, 2:])
    torch.testing.assert_close(states[0], states[1], rtol=1e-4, atol=1e-4)

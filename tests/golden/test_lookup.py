"""What free answers copy: where the place to copy from goes, that no copy changes a token,
and how many passes a good one saves."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from selfgen.core.spec import Sampling
from selfgen.generation import engines, free, speculative
from selfgen.generation.decoding import Prompt
from selfgen.generation.lookup import NOTHING, Lookup
from tests.golden.conftest import build, built, words
from tests.golden.test_free import nested

DEAR = speculative.Cost(1e9, 0.0)
"""Passes that cost so much that every guess is read on over."""


def followed(lookup: Lookup, answer: list[int]) -> list[int]:
    """The guess before each token of an answer, and behind its last."""
    guesses = [lookup.guess]
    for end in range(1, len(answer) + 1):
        lookup.follow(answer[:end])
        guesses.append(lookup.guess)
    return guesses


@pytest.mark.parametrize(
    ("answer", "guesses"),
    [
        ([11, 12, 13], [11, 12, 13, 14]),
        # 19 in the place of 12, and 15, which stands elsewhere, too
        ([11, 19, 13, 14], [11, 12, 13, 14, 15]),
        ([11, 15, 13, 14], [11, 12, 13, 14, 15]),
        # 19 was put in, in the place of 13 so far; two tokens on it is sure
        ([11, 12, 19, 13, 14], [11, 12, 13, 14, 15, 15]),
        # 12 was left out
        ([11, 13, 14], [11, 12, 13, 15]),
        # Behind the sibling's end two tokens of the prompt are looked for
        (
            [11, 12, 13, 14, 15, 3, 4, 5],
            [11, 12, 13, 14, 15, NOTHING, NOTHING, 5, 6],
        ),
    ],
    ids=["equal", "replaced", "replaced, known", "put in", "left out", "prompt"],
)
def test_where_it_copies_from(answer: list[int], guesses: list[int]) -> None:
    assert followed(Lookup([11, 12, 13, 14, 15], [3, 4, 5, 6]), answer) == guesses


def test_it_copies_from_the_answer_so_far() -> None:
    """7 8 9 stood there before; 9 goes on with the 5 that was behind it."""
    lookup = Lookup([], [3, 4])
    guesses = followed(lookup, [7, 8, 9, 5, 7, 8, 9])
    assert guesses == [NOTHING] * 6 + [9, 5]
    assert lookup.run == 3
    # Of what repeats itself as much as is asked for
    assert [*itertools.islice(lookup.ahead(), 9)] == [5, 7, 8, 9, 5, 7, 8, 9, 5]
    again = Lookup([], [])
    assert followed(again, [6, 6, 6]) == [NOTHING, NOTHING, NOTHING, 6]
    assert [*itertools.islice(again.ahead(), 4)] == [6, 6, 6, 6]


def test_an_answer_that_repeats_itself_takes_few_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Greedy, and so in runs of one token and of two; neither prompt nor sibling has them."""
    monkeypatch.setitem(engines.COST, "cpu", DEAR)
    model, (row,) = built("llama"), prompts(1)
    options: dict[str, Any] = {"max_new_tokens": 100, "ends_turns": False}
    expected = answers(model, [row], engine="sequential", **options)
    facts: dict[str, Any] = {}
    assert answers(model, [row], facts=facts, **options) == expected
    assert len(expected[row.id]) == 100
    assert facts["passes"] < 60


@pytest.mark.parametrize(("times", "guess", "run"), [(7, 9, 3), (8, 3, 2)])
def test_only_places_near_by_are_compared(times: int, guess: int, run: int) -> None:
    lookup = Lookup([], [*times * [2, 6, 7, 3], 1, 6, 7, 9])
    lookup.follow([1, 6, 7])
    assert (lookup.guess, lookup.run) == (guess, run)


def test_the_longest_run_is_taken_and_of_equal_ones_the_nearest() -> None:
    lookup = Lookup([], [5, 7, 1, 6, 7, 2, 6, 7, 3, 5, 7, 2])
    assert lookup.guess == NOTHING
    lookup.follow([6])
    assert (lookup.guess, lookup.run) == (NOTHING, 0)
    lookup.follow([6, 7])  # twice; the place is at the end, to which 3 is nearer than 2
    assert [*lookup.ahead()] == [3, 5, 7, 2]
    assert lookup.run == 2
    lookup.follow([6, 7, 2])  # once with 6 before, once with 5
    assert ([*lookup.ahead()], lookup.run) == ([6, 7, 3, 5, 7, 2], 3)
    lookup.follow([6, 7, 2, 9])
    assert ([*lookup.ahead()], lookup.run) == ([], 0)


def prompts(n: int) -> list[Prompt]:
    return [
        Prompt(f"p{i}", 0, [3 + (7 * i + j) % 28 for j in range(1 + 3 * (i % 5))])
        for i in range(n)
    ]


def answers(
    model: Any, rows: list[Prompt], *, engine: str = "speculative", **more: Any
) -> dict[str, list[int]]:
    settings = {"seed": 3, "max_new_tokens": 20, "batch_size": 4} | more
    sampling = settings.pop("sampling", Sampling())
    made = free.complete(model, words(), rows, sampling, engine=engine, **settings)
    return {prompt.id: ids for prompt, ids in made}


def changed(ids: list[int], draw: random.Random) -> list[int]:
    """Some tokens replaced, put in and left out."""
    made: list[int] = []
    for token in ids:
        made += {
            0: [draw.randrange(3, 31)],
            1: [draw.randrange(3, 31), token],
            2: [],
        }.get(draw.randrange(12), [token])
    return made


@pytest.mark.parametrize("temperature", [0.0, 1.0, 8.0])
@pytest.mark.parametrize("batch_size", [1, 3, 16])
@pytest.mark.parametrize("cost", [speculative.Cost(8.0, 0.5), DEAR])
def test_no_copy_changes_a_token(
    temperature: float,
    batch_size: int,
    cost: speculative.Cost,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(engines.COST, "cpu", cost)
    model, rows = built("llama"), prompts(11)
    options = {"sampling": Sampling(temperature), "batch_size": batch_size}
    expected = answers(model, rows, engine="sequential", **options)
    draw = random.Random(batch_size)
    for kind in ("own", "and more", "changed", "another", "noise"):
        siblings = {
            "own": expected,
            "and more": {name: ids + ids for name, ids in expected.items()},
            "changed": {name: changed(ids, draw) for name, ids in expected.items()},
            "another": dict(zip(expected, reversed(expected.values()), strict=True)),
            # Numbers that are no tokens among them
            "noise": {name: draw.choices(range(-2, 60), k=9) for name in expected},
        }[kind]
        near = [Prompt(r.id, 0, r.prompt_ids, sibling=siblings[r.id]) for r in rows]
        assert answers(model, near, **options) == expected, kind


@pytest.mark.parametrize("step_tokens", [1024, 5])
def test_nor_in_a_slot_or_a_window_that_others_had(
    model: Any, step_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prompts that share beginnings and slots, with room for all or for a few tokens."""
    monkeypatch.setitem(engines.COST, "cpu", DEAR)
    monkeypatch.setitem(speculative.STEP_TOKENS, "cpu", step_tokens)
    rows, options = nested(5), {"sampling": Sampling(8.0), "batch_size": 3}
    expected = answers(model, rows, engine="sequential", **options)
    draw = random.Random(1)
    near = [replace(r, sibling=changed(expected[r.id], draw)) for r in rows]
    assert answers(model, near, **options) == expected


@pytest.mark.parametrize(
    ("wrong", "passes"), [(None, 1), (0, 2), (5, 2), (11, 1)], ids=str
)
def test_passes(
    wrong: int | None, passes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sibling that is the answer: one pass reads the prompt and all of it. With one token
    replaced a second reads on behind that; what comes after the last is not read."""
    monkeypatch.setitem(engines.COST, "cpu", DEAR)
    model = built("llama")
    row = prompts(6)[-1]
    options: dict[str, Any] = {"max_new_tokens": 12, "ends_turns": False}
    options["sampling"] = Sampling(8.0)
    sibling = answers(model, [row], engine="sequential", **options)[row.id]
    assert len(sibling) == 12 and len({*pairwise(sibling)}) == 11  # no run of two twice
    near = list(sibling)
    if wrong is not None:
        near[wrong] = 30 if sibling[wrong] != 30 else 29
    facts: dict[str, Any] = {}
    told = Prompt(row.id, 0, row.prompt_ids, sibling=near)
    assert answers(model, [told], facts=facts, **options) == {row.id: sibling}
    assert facts["passes"] == passes


def test_a_pass_that_costs_little_copies_nothing_unlikely(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At the start a guess is right as often as not: two tokens, a draw among them, are
    risked for a pass that is worth as much and more, and for none that is worth less."""
    model = build("llama")
    (row,) = prompts(1)
    sibling = answers(model, [row], engine="sequential")[row.id]
    told = Prompt(row.id, 0, row.prompt_ids, sibling=sibling[:2])
    for overhead, saved in ((1.9, 0), (2.1, 1)):
        monkeypatch.setitem(engines.COST, "cpu", speculative.Cost(overhead, 1.0))
        plain, near = {}, {}
        options = {"max_new_tokens": 2, "ends_turns": False}
        answers(model, [row], facts=plain, **options)
        answers(model, [told], facts=near, **options)
        assert plain["passes"] - near["passes"] == saved

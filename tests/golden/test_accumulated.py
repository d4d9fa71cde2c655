"""Accumulated error against an oracle: on models that can be enumerated, and by hand."""

from __future__ import annotations

import itertools
import math
import random

import pytest
import torch

from selfgen.core.errors import UserError
from selfgen.evaluation.accumulated import (
    accumulated,
    excess_interval,
    gap_difference,
    gap_interval,
    of_length,
    paired,
)
from selfgen.evaluation.exposure import step_errors
from selfgen.generation.forced import Reference
from tests.golden.conftest import ByHand

# An enumerable model: four tokens, a known distribution after every context.

STOP, LONGEST, ASKED = 3, 4, (0,)


class Table(ByHand):
    """Its next token after a context has probabilities in eighths, drawn for that context (or
    the same after all: ``blind``)."""

    def __init__(self, seed: int, blind: bool = False) -> None:
        super().__init__(4)
        self.seed, self.blind = seed, blind

    def eighths(self, context: tuple[int, ...]) -> list[int]:
        weights = [1, 1, 2, 4]
        name = "" if self.blind else context
        random.Random(f"{self.seed} {name}").shuffle(weights)
        return weights

    def logits(self, input_ids: torch.Tensor) -> torch.Tensor:
        contexts = [
            [self.eighths(tuple(row[: t + 1])) for t in range(len(row))]
            for row in input_ids.tolist()
        ]
        return (torch.tensor(contexts) / 8).log()

    def answers(self) -> list[tuple[Reference, int]]:
        """All answers, cut at ``LONGEST``, with their probability in 8 ** -LONGEST."""
        found = []
        for ids in itertools.product(range(4), repeat=LONGEST):
            end = ids.index(STOP) + 1 if STOP in ids else LONGEST
            if any(ids[end:]):
                continue
            weight = 8 ** (LONGEST - end)
            for t, token in enumerate(ids[:end]):
                weight *= self.eighths((*ASKED, *ids[:t]))[token]
            found.append((Reference(f"{ids}", 0, ASKED, ids[:end]), weight))
        return found

    def errors(self, oracle: Table, of: Table) -> list[list[float]]:
        """``step_errors`` of answers of ``of``, each as often as it is probable."""
        rows, weights = zip(*of.answers(), strict=True)
        found = step_errors(self, oracle, rows, tokens=range(4))
        return [e for e, n in zip(found, weights, strict=True) for _ in range(n)]


def expected(model: Table, oracle: Table, of: Table) -> list[float]:
    """Of step 1, 2, ...: the mean KL over the contexts of ``of`` that go on so far."""
    means, contexts = [], {ASKED: 1.0}
    for _ in range(LONGEST):
        total, following = 0.0, {}
        for context, weight in contexts.items():
            p, o, q = (m.eighths(context) for m in (model, oracle, of))
            total += weight * sum(
                b / 8 * math.log(b / a) for a, b in zip(p, o, strict=True)
            )
            following |= {(*context, i): weight * q[i] / 8 for i in range(4)}
        means.append(total / sum(contexts.values()))
        contexts = {c: w for c, w in following.items() if c[-1] != STOP}
    return means


@pytest.mark.parametrize("seed", range(5))
def test_accumulated_errors_are_the_exact_expectations(seed: int) -> None:
    model, oracle = Table(seed), Table(seed + 100)
    assert sum(weight for _, weight in model.answers()) == 8**LONGEST
    found = accumulated(
        model.errors(oracle, of=model), model.errors(oracle, of=oracle), range(1, 6)
    )
    free, gold = (expected(model, oracle, of=m) for m in (model, oracle))
    for length in range(1, LONGEST + 1):
        r, g = sum(free[:length]), sum(gold[:length])
        assert found[length].free == pytest.approx(r, rel=1e-5)
        assert found[length].gold == pytest.approx(g, rel=1e-5)
        if g > 0:
            assert found[length].acc == pytest.approx(length * r / g, rel=1e-5)
            assert found[length].excess == pytest.approx(100 * (r / g - 1), abs=1e-3)
    assert found[1].free == found[1].gold  # the prompt is shared
    assert abs(found[LONGEST].excess) > 0.1
    assert found[LONGEST + 1] is None


def test_no_bias_where_contexts_are_the_reference_contexts() -> None:
    model, oracle = Table(1), Table(2)
    errors = model.errors(oracle, of=oracle)
    for length, found in accumulated(errors, errors, range(1, 5)).items():
        assert (found.acc, found.excess) == (pytest.approx(length), 0)


def test_no_bias_where_errors_do_not_depend_on_the_context() -> None:
    model, oracle = Table(4, blind=True), Table(1, blind=True)
    assert model.eighths(()) != oracle.eighths(())
    errors = (model.errors(oracle, of=m) for m in (model, oracle))
    for length, found in accumulated(*errors, range(1, 5)).items():
        assert found.acc == pytest.approx(length)
        assert found.excess == pytest.approx(0, abs=1e-4)


def test_no_error_where_the_model_is_the_oracle() -> None:
    model = Table(1)
    errors = model.errors(Table(1), of=model)
    found = accumulated(errors, errors, [4])[4]
    assert (found.free, found.gold, found.acc, found.excess) == (0, 0, None, None)


def test_what_the_oracle_rules_out_costs_nothing_and_the_reverse_is_infinite() -> None:
    model, narrow = Table(1), Table(2)
    narrow.eighths = lambda context: [0, 0, 4, 4]
    rows = [Reference("x", 0, ASKED, [2, 3])]
    wanted = [
        sum(math.log(4 / model.eighths(c)[i]) / 2 for i in (2, 3))
        for c in (ASKED, (*ASKED, 2))
    ]
    assert step_errors(model, narrow, rows, tokens=range(4))[0] == pytest.approx(
        wanted, rel=1e-5
    )
    assert step_errors(narrow, model, rows, tokens=range(4))[0] == [math.inf] * 2


def test_accumulated_by_hand() -> None:
    found = accumulated([[1, 4], [3]], [[1, 1], [1, 2], [4]], [1, 2, 3])
    assert (found[1].free, found[1].gold) == (2, 2)
    assert (found[2].free, found[2].gold) == (2 + 4, 2 + 1.5)
    assert found[2].acc == pytest.approx(2 * 6 / 3.5)
    assert found[3] is None
    assert accumulated([], [], [1]) == {1: None}
    with pytest.raises(UserError, match="length: found 0, allowed is 1 or more"):
        accumulated([], [], [2, 0])


def test_the_interval_covers_the_exact_excess() -> None:
    """Samples of 150 prompts of the enumerable model: the interval holds the truth."""
    model, oracle = Table(0), Table(100)
    free, gold = (model.errors(oracle, of=m) for m in (model, oracle))
    truth, stream = accumulated(free, gold, [3])[3].excess, random.Random(0)
    covered = 0
    for run in range(100):
        drawn = [
            {0: {f"i{i}": stream.choice(errors) for i in range(150)}}
            for errors in (free, gold)
        ]
        found = excess_interval(*drawn, 3, 0.9, [str(run)])
        covered += found.low <= truth <= found.high
    assert 82 <= covered <= 97


def test_gaps_by_hand() -> None:
    """R(2) - G(2) of two prompts: 3 - 2 and 5 - 2; the other model's are 1 and 1."""
    free = {0: {"a": [1.0, 2.0], "b": [2.0, 3.0]}}
    gold = {0: {"a": [1.0, 1.0], "b": [1.0, 1.0]}}
    other = {0: {"a": [2.0, 1.0], "b": [1.0, 2.0]}}
    gap = gap_interval(free, gold, 2, 0.95, ["x"])
    assert gap.value == pytest.approx(2)
    assert gap.low < 2 < gap.high
    same = gap_interval(other, gold, 2, 0.95, ["x"])
    assert (same.value, same.equal) == (pytest.approx(1), True)
    found = gap_difference((free, gold), (other, gold), 2, 0.95, ["x"])
    assert found.value == pytest.approx(1)
    assert gap_interval(free, gold, 3, 0.95, ["x"]) is None
    with pytest.raises(UserError, match="x: no item that every seed has"):
        gap_difference((free, gold), ({0: {"c": [1.0]}},) * 2, 1, 0.95, ["x"])


def test_a_fixed_length_has_the_prompts_whose_reference_is_so_long() -> None:
    free = {0: {"a": [1.0] * 4, "b": [2.0] * 4}, 1: {"b": [2.0] * 4}}
    gold = {0: {"a": [1.0] * 2, "b": [1.0] * 3}, 1: {"b": [1.0] * 3}}
    assert of_length(free, gold, 2) == (free, gold)
    assert of_length(free, gold, 3) == (
        {0: {"b": free[0]["b"]}, 1: free[1]},
        {0: {"b": gold[0]["b"]}, 1: gold[1]},
    )
    assert of_length(free, gold, 4) == ({}, {})


EARLY = 10


def early(
    prompts: int = 64, length: int = 32
) -> tuple[dict[int, dict[str, list[float]]], dict[int, dict[str, list[float]]]]:
    """Errors that are equal on both contexts at every step, small ones of easy prompts and
    large ones of hard ones; the model ends early on easy prompts."""
    gold = {0: {f"p{n}": [0.2 + 0.4 * (n % 2)] * length for n in range(prompts)}}
    free = {
        0: {
            i: steps[: EARLY if steps[0] < 0.3 else length]
            for i, steps in gold[0].items()
        }
    }
    return free, gold


def test_errors_that_are_equal_are_no_bias_however_early_answers_end() -> None:
    free, gold = early()
    # Of all answers: the later steps of R are those of the hard prompts.
    found = accumulated([*free[0].values()], [*gold[0].values()], [32])[32]
    assert found.free - found.gold == pytest.approx(22 * (0.6 - 0.4))
    assert gap_interval(free, gold, 32, 0.95, ["x"]).value == pytest.approx(0)
    assert excess_interval(free, gold, 32, 0.95, ["x"]).value == pytest.approx(0)
    sides = paired(free, gold)
    found = accumulated(*(side[0].values() for side in sides), [32])[32]
    assert found.free == found.gold == pytest.approx(10 * 0.4 + 22 * 0.6)
    # Nor is it a difference to a model that ends where the reference does, and is worse
    # after its own tokens by as much on the same prompts.
    worse, as_long = (
        {0: {i: [1.5 * x for x in steps] for i, steps in side[0].items()}}
        for side in (free, gold)
    )
    found = gap_difference((worse, gold), (as_long, gold), 32, 0.95, ["x"])
    assert found.value == pytest.approx(0)


# Chains whose answers are enumerated: the next of a state is one of four, equally probable.

END = ""
OWN = {"a": ["a", END, END, END], "b": ["a", "b", "b", END], "h": ["h", "h", "h", "b"]}
GOLD = {"a": ["a", "b", "b", END], "b": ["a", "a", "b", END], "h": ["h", "h", "a", "b"]}
ERROR = {"a": 0.3, "b": 0.8, "h": 2.0}
STEPS = 3


def walks(chain: dict[str, list[str]], start: str) -> list[list[float]]:
    """The errors of the steps of all answers, each as often as it is probable."""
    found = []
    for draws in itertools.product(range(4), repeat=STEPS):
        state, errors = start, []
        for draw in draws:
            if state != END:
                errors.append(ERROR[state])
                state = chain[state][draw]
        found.append(errors)
    return found


def laws(chain: dict[str, list[str]], start: str) -> list[tuple[float, float]]:
    """Of each step: how probable it is that an answer has it, and then its mean error."""
    at, found = {start: 1.0}, []
    for _ in range(STEPS):
        lasting = sum(at.values())
        found.append((lasting, sum(w * ERROR[s] for s, w in at.items()) / lasting))
        after = dict.fromkeys(ERROR, 0.0)
        for state, weight in at.items():
            for state_after in chain[state]:
                if state_after != END:
                    after[state_after] += weight / 4
        at = after
    return found


def test_paired_errors_of_answers_that_end_are_the_exact_expectations() -> None:
    """A prompt counts at a step as often as both its texts have it, on both sides."""
    pairs = {
        (start, m, n): (free, gold)
        for start in ("a", "h")
        for m, free in enumerate(walks(OWN, start))
        for n, gold in enumerate(walks(GOLD, start))
    }
    sides = [{0: {f"{i}": p[side] for i, p in pairs.items()}} for side in (0, 1)]
    found = accumulated(*(s[0].values() for s in paired(*sides)), [STEPS])[STEPS]
    sums = [0.0, 0.0]
    for step in range(STEPS):
        both = [(laws(OWN, s)[step], laws(GOLD, s)[step]) for s in ("a", "h")]
        weights = [own[0] * gold[0] for own, gold in both]
        for side in (0, 1):
            errors = (law[side][1] for law in both)
            total = sum(w * e for w, e in zip(weights, errors, strict=True))
            sums[side] += total / sum(weights)
    assert (found.free, found.gold) == pytest.approx(tuple(sums))
    gap = gap_interval(*sides, STEPS, 0.95, ["x"])
    assert gap.value == pytest.approx(sums[0] - sums[1])
    apart = accumulated(*(s[0].values() for s in sides), [STEPS])[STEPS]
    assert abs(apart.free - apart.gold - gap.value) > 0.1


def test_the_released_loop_counts_the_prompt_and_so_finds_less() -> None:
    """Its formula, l R / G with both sums from the first token of the prompt on, which both
    have in common: the same number where there is no prompt, nearer to l where there is."""

    def released(
        prompt: float, free: list[list[float]], gold: list[list[float]]
    ) -> float:
        """Of answers of one length: ``prompt`` is the error of the prompt's tokens."""
        r, g = (
            prompt + sum(sum(row[t] for row in rows) / len(rows) for t in range(4))
            for rows in (free, gold)
        )
        return 100 * (r / g - 1)

    free = [[0.1, 0.3, 0.5, 0.9], [0.2, 0.1, 0.7, 0.4]]
    gold = [[0.1, 0.2, 0.3, 0.2], [0.2, 0.3, 0.1, 0.4]]
    ours = accumulated(free, gold, [4])[4]
    assert ours is not None and ours.excess is not None
    assert ours.excess == pytest.approx(released(0.0, free, gold))
    for prompt in (0.5, 5.0, 50.0):
        found = released(prompt, free, gold)
        r, g = ours.free, ours.gold
        assert found == pytest.approx(100 * ((r + prompt) / (g + prompt) - 1))
        assert 0 < found < ours.excess

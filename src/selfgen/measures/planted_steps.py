"""Planted steps: one step of the reference is replaced by a wrong one, and the model goes on
by itself; how many of its next steps a checker finds wrong, beside those after the right one
(after He et al. 2021, self-recovery).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from selfgen.core.hashing import unit
from selfgen.core.spec import Sampling
from selfgen.data.checked import Checker, errors, spans, steps_of
from selfgen.data.examples import Example
from selfgen.evaluation.accumulated import together
from selfgen.evaluation.statistics import divided
from selfgen.measures.base import Line, Measure, Row, Sums, quotient
from selfgen.measures.planted import SOURCE, half_life, mean, windows

if TYPE_CHECKING:
    from selfgen.measures.reading import Instrument

STEPS = 32
"""Steps after a planted one that are judged, where the reference has as many left."""

SHOWN = 8
"""Lags that one number is of."""

WINDOW = SHOWN // 2
"""Lags that are read together for what is gone: half of them beside the other half, which
references of a dozen steps have behind a place anywhere in them."""

Found = dict[str, dict[str, list[str] | None]]


def effects(own: Instrument, examples: Sequence[Example]) -> Found:
    """``planted_steps``, ``clean_steps``: what is wrong with the steps that the model goes on
    with after a wrong step, and after the right one in its place; as many steps as the
    reference has behind that one."""
    from selfgen.generation import ends  # which imports torch

    nothing: dict[str, list[str] | None] = {"planted_steps": None, "clean_steps": None}
    found = {e.id: dict(nothing) for e in examples}
    if own.checker is None:
        return found
    checker, marks = own.checker, own.checker.delimiters
    prefixes: dict[str, dict[str, list[int]]] = {name: {} for name in nothing}
    left: dict[str, int] = {}
    every = {e.id: n for n, e in enumerate(own.every)}
    for e in examples:
        other = own.every[(every[e.id] + 1) % len(own.every)]
        answer = list(e.answer_ids)
        parts = [*spans(own.tokenizer, answer, marks)]
        if len(parts) < 3:
            continue
        middle = 1 + int(unit(e.id, "planted step") * (len(parts) - 2))
        start, end = parts[middle]
        for ids in _wrong(own.tokenizer, checker, e, other, answer[:start]):
            prefixes["planted_steps"][e.id] = [*answer[:start], *ids]
            prefixes["clean_steps"][e.id] = answer[:end]
            left[e.id] = min(STEPS, len(parts) - middle - 1)
            break
    stops = ends.stops(own.model, own.tokenizer)
    # An answer's rest is no longer than an answer; all parts of the prompts have one limit.
    limit = min(STEPS * own.longest_step, max(len(e.answer_ids) for e in own.every))
    chosen = [e for e in examples if e.id in prefixes["clean_steps"]]
    for name, before in prefixes.items():
        made = own.complete(chosen, before, Sampling(), limit)
        for e in chosen:
            text = own.tokenizer.decode(before[e.id], skip_special_tokens=True)
            whole = own.tokenizer.decode(
                [*before[e.id], *made[e.id]], skip_special_tokens=True
            )
            done = len(steps_of(text, marks, ended=False))
            steps = steps_of(whole, marks, made[e.id][-1] in stops)[: done + left[e.id]]
            found[e.id][name] = errors(checker, e.prompt, steps)[done:]
    return found


def _wrong(
    tokenizer: Any,
    checker: Checker,
    example: Example,
    other: Example,
    before: list[int],
) -> Iterator[list[int]]:
    """The steps of another reference that are wrong after some tokens of one's own."""
    marks, answer = checker.delimiters, list(other.answer_ids)
    for start, end in [*spans(tokenizer, answer, marks)][1:-1]:
        ids = answer[start:end]
        text = tokenizer.decode([*before, *ids], skip_special_tokens=True)
        steps = steps_of(text, marks, ended=False)
        if errors(checker, example.prompt, steps)[-1]:
            yield ids


def _wrongs(row: Row) -> list[Sequence[float]] | None:
    """Whether each step after the wrong one and after the right one is wrong, as far as both
    answers go."""
    planted, clean = row.get("planted_steps"), row.get("clean_steps")
    if planted is None or clean is None:
        return None
    return together(*([float(bool(x)) for x in side] for side in (planted, clean)))


def _effect(row: Row) -> list[float] | None:
    """By lag."""
    both = _wrongs(row)
    return None if both is None else [a - b for a, b in zip(*both, strict=True)]


def _shown(row: Row) -> list[float] | None:
    effect = _effect(row)
    return [sum(effect[:SHOWN]), len(effect[:SHOWN])] if effect else None


def _windows(row: Row) -> list[float] | None:
    effect = _effect(row)
    if effect is None or len(effect) < SHOWN:
        return None
    return windows(effect, WINDOW, 2)


def _early(sums: Sums) -> np.ndarray:
    return mean(sums, 0)


def _recovered(sums: Sums) -> np.ndarray:
    """1 - what is left at lags 5 to 8 of the effect at lags 1 to 4."""
    left: np.ndarray = 1 - divided(mean(sums, 1), mean(sums, 0))
    return left


def _half_life(sums: Sums) -> np.ndarray:
    return half_life(mean(sums, 0), mean(sums, 1), WINDOW)


WHAT = "wrong steps after a wrong one, minus those after a right one"

MEASURES = (
    Measure(
        "planted errors",
        "planted_steps",
        f"{WHAT}, lags 1 to {SHOWN}",
        "points",
        SOURCE,
        "It says nothing of errors of other kinds than a step of another prompt, nor of steps"
        " of one answer where the other has ended.",
        _shown,
        quotient,
        needs="checker",
        scale=100,
        digits=1,
        definition="A step of a reference is replaced by one of another prompt that is wrong"
        " there, and the model goes on greedily. The effect at a lag, so many steps later, is"
        " the share of wrong steps, minus the same after the right step; the mean over lags 1"
        f" to {SHOWN}, as far as both go.",
    ),
    Measure(
        "planted errors",
        "planted_steps_recovered",
        f"{WHAT}, share gone at lags {WINDOW + 1} to {SHOWN}",
        "%",
        SOURCE,
        "It says nothing of later steps: few references have more behind the place, which the"
        f" figure shows up to lag {STEPS}.",
        _windows,
        _recovered,
        given=_early,
        better=1,
        needs="checker",
        scale=100,
        digits=0,
        definition=f"Of the same effect 1 - its mean at lags {WINDOW + 1} to {SHOWN} over"
        f" that at lags 1 to {WINDOW}, of prompts with all of them. Left out where the latter"
        " is not above 0 by its interval.",
    ),
    Measure(
        "planted errors",
        "planted_steps_half_life",
        f"{WHAT}, half-life (0: gone before lag {WINDOW + 1})",
        "steps",
        SOURCE,
        "It does not show how an effect goes that does not shrink evenly: read the curve.",
        _windows,
        _half_life,
        least=0.0,
        given=_early,
        needs="checker",
        digits=1,
        definition="The lags in which the same effect halves if it shrinks evenly:"
        f" {WINDOW} ln(.5) / ln(q), q its mean at lags {WINDOW + 1} to {SHOWN} over that at"
        f" lags 1 to {WINDOW}, of prompts with all of them. Left out where the latter is not"
        " above 0 by its interval.",
    ),
)

LINES = (
    Line("after a wrong step", lambda row: _line(row, 0)),
    Line("after the right one", lambda row: _line(row, 1)),
)
"""Shares of steps that are wrong, by how many steps after the planted one they stand."""


def _line(row: Row, side: int) -> Sequence[float] | None:
    both = _wrongs(row)
    return None if both is None else both[side]

"""Planted steps: one step of the reference is replaced by a wrong one, and the model goes on
by itself; how many of its next steps a checker finds wrong, beside those after the right one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from selfgen.core.hashing import unit
from selfgen.core.spec import Sampling
from selfgen.data.checked import Checker, errors, spans, steps_of
from selfgen.data.examples import Example
from selfgen.evaluation.statistics import divided
from selfgen.measures.base import Line, Measure, Row, Sums

if TYPE_CHECKING:
    from selfgen.measures.reading import Instrument

STEPS = 8
"""Steps after a planted one that are judged."""

Found = dict[str, dict[str, list[str] | None]]


def effects(own: Instrument, examples: Sequence[Example]) -> Found:
    """``planted_steps``, ``clean_steps``: what is wrong with the steps that the model goes on
    with after a wrong step, and after the right one in its place."""
    nothing: dict[str, list[str] | None] = {"planted_steps": None, "clean_steps": None}
    found = {e.id: dict(nothing) for e in examples}
    if own.checker is None:
        return found
    checker, marks = own.checker, own.checker.delimiters
    prefixes: dict[str, dict[str, list[int]]] = {name: {} for name in nothing}
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
            break
    chosen = [e for e in examples if e.id in prefixes["clean_steps"]]
    for name, before in prefixes.items():
        made = own.complete(chosen, before, Sampling(), STEPS * own.longest_step)
        for e in chosen:
            text = own.tokenizer.decode(before[e.id], skip_special_tokens=True)
            whole = own.tokenizer.decode(
                [*before[e.id], *made[e.id]], skip_special_tokens=True
            )
            done = len(steps_of(text, marks, ended=False))
            ended = len(made[e.id]) < STEPS * own.longest_step
            steps = steps_of(whole, marks, ended)
            wrong = errors(checker, e.prompt, steps)[done:]
            found[e.id][name] = wrong[:STEPS]
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


def _step_effect(row: Row) -> list[float] | None:
    planted, clean = row.get("planted_steps"), row.get("clean_steps")
    if planted is None or clean is None:
        return None
    a, b = ([float(bool(x)) for x in side] for side in (planted, clean))
    return [sum(a), len(a), sum(b), len(b)]


def _step_difference(sums: Sums) -> np.ndarray:
    difference: np.ndarray = divided(sums[:, 0], sums[:, 1]) - divided(
        sums[:, 2], sums[:, 3]
    )
    return difference


MEASURES = (
    Measure(
        "planted errors",
        "planted_steps",
        f"wrong steps after a wrong one, minus those after a right one, {STEPS} steps",
        "points",
        "after He et al. 2021",
        "errors of other kinds than a step of another prompt",
        _step_effect,
        _step_difference,
        needs="checker",
        scale=100,
        digits=1,
    ),
)

LINES = (
    Line("after a wrong step", lambda row: _wrongs(row, "planted_steps")),
    Line("after the right one", lambda row: _wrongs(row, "clean_steps")),
)
"""Shares of steps that are wrong, by how many steps after the planted one they stand."""


def _wrongs(row: Row, side: str) -> list[float] | None:
    steps = row.get(side)
    return None if steps is None else [float(bool(wrong)) for wrong in steps]

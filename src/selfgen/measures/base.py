"""What a measure is: what each prompt adds to some sums, and a function of the sums.

That one form gives every measure its interval over prompts and seeds, and its difference to
another model on the same prompts (``evaluation.statistics``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from selfgen.evaluation.statistics import Interval, divided, shared, sums_interval

Row = Mapping[str, Any]
"""What was read on one prompt (``reading.Columns``)."""

Rows = Mapping[int, Mapping[str, Row]]
"""Seed -> prompt id -> row."""

Sums = np.ndarray
"""[samples, columns]: what prompts add, summed."""


Adds = Callable[[Row], Sequence[float] | None]
"""What a prompt adds, a number a column; None where it has no part in it."""


@dataclass(frozen=True)
class Measure:
    """One number about a model.

    ``value``: sums to values [samples], NaN where there is none. ``share``: values are of
    0..1. ``least``: below which no value is. ``given``: what must be above 0 by its interval,
    else there is no value, such as the effect that a share is of. ``as_far``: of a row what
    compares with another model's on the same prompt. ``better``: the sign of a good
    difference, 0 where none is good. ``needs``: oracle, checker or features, or nothing.
    ``scale``: what a value is multiplied by where people read it.
    """

    group: str
    name: str
    title: str
    unit: str
    source: str
    cannot: str
    adds: Adds
    value: Callable[[Sums], np.ndarray]
    share: bool = False
    least: float = -math.inf
    given: Callable[[Sums], np.ndarray] | None = None
    as_far: Callable[[Row, Row], Row] | None = None
    better: int = -1
    needs: str = ""
    scale: float = 1.0
    digits: int = 2
    definition: str = ""
    """The formula in words, and where the source's is another."""


@dataclass(frozen=True)
class Line:
    """A line of a figure: the mean of ``values(row)`` at each place, a prompt's value each;
    shorter where a prompt has fewer places."""

    label: str
    values: Callable[[Row], Sequence[float] | None]


def quotient(sums: Sums) -> np.ndarray:
    """The first column over the second: a mean over tokens, say."""
    return divided(sums[:, 0], sums[:, 1])


def interval(measure: Measure, rows: Rows, confidence: float) -> Interval | None:
    """A measure of one model; None where no prompt has a part in it, or where that is not
    there which it is given."""
    table = _table(measure.adds, [rows])
    if table is None or not _is_given(measure, table, confidence):
        return None
    found = sums_interval(table, measure.value, confidence, share=measure.share)
    # NaN stays.
    return found and replace(found, low=max(found.low, measure.least))


def _is_given(measure: Measure, table: np.ndarray, confidence: float) -> bool:
    if measure.given is None:
        return True
    found = sums_interval(table, measure.given, confidence)
    return found is not None and found.low > 0


def difference(
    measure: Measure, rows: Rows, others: Rows, confidence: float
) -> Interval | None:
    """A measure of one model minus that of another, over the prompts and seeds that both
    have; None where one has none. A model of one seed, such as an untrained one, is held
    against each of the other's."""
    sides = _paired(rows, others)
    if measure.as_far is not None:
        sides = [_cut(measure.as_far, *pair) for pair in (sides, sides[::-1])]
    table = _table(measure.adds, sides)
    if table is None or _width(measure.adds, rows) != _width(measure.adds, others):
        return None
    half = table.shape[-1] // 2
    halves = (table[..., :half], table[..., half:])
    if not all(_is_given(measure, side, confidence) for side in halves):
        return None

    def value(sums: Sums) -> np.ndarray:
        difference: np.ndarray = measure.value(sums[:, :half]) - measure.value(
            sums[:, half:]
        )
        return difference

    found = sums_interval(table, value, confidence)
    if found is None or not measure.share:
        return found
    return replace(found, low=max(-1.0, found.low), high=min(1.0, found.high))


def _width(adds: Adds, rows: Rows) -> int:
    """How many numbers a prompt adds: MAUVE's depend on how many prompts there are."""
    parts = (adds(row) for by_id in rows.values() for row in by_id.values())
    return next((len(part) for part in parts if part is not None), 0)


def _paired(rows: Rows, others: Rows) -> list[Rows]:
    sides = [rows, others]
    for side, other in ((0, others), (1, rows)):
        if len(sides[side]) == 1 < len(other):
            (only,) = sides[side].values()
            sides[side] = dict.fromkeys(other, only)
    return sides


def _cut(as_far: Callable[[Row, Row], Row], rows: Rows, others: Rows) -> Rows:
    """Rows as far as they compare with the other's."""
    return {
        seed: {
            i: as_far(row, others.get(seed, {}).get(i, row)) for i, row in by_id.items()
        }
        for seed, by_id in rows.items()
    }


def fewest(rows: Rows) -> float:
    """Prompts that a place must have to be looked at."""
    return max(2, max(map(len, rows.values())) / 4)


def curve(line: Line, rows: Rows, places: int, confidence: float) -> list[Interval]:
    """The mean at each place from the first on, as far as a quarter of the prompts have one,
    and two at least."""
    least = fewest(rows)
    found = []
    for place in range(places):
        table = _table(_at(line, place), [rows])
        mean = None if table is None else sums_interval(table, quotient, confidence)
        if mean is None or mean.n < least:
            break
        found.append(mean)
    return found


def _at(line: Line, place: int) -> Adds:
    def adds(row: Row) -> Sequence[float] | None:
        values = line.values(row)
        if values is None or place >= len(values):
            return None
        return [float(values[place]), 1.0]

    return adds


def _table(adds: Adds, sides: Sequence[Rows]) -> np.ndarray | None:
    """[seeds, prompts, columns of every side]; what a prompt has no part in is 0."""
    seeds, ids = list(sides[0]), list(next(iter(sides[0].values())))
    for other in sides:
        both_seeds, both_ids = shared(sides[0], other, ["measures"])
        seeds = [seed for seed in seeds if seed in both_seeds]
        ids = [i for i in ids if i in both_ids]
    parts = {
        (s, seed, i): adds(side[seed][i])
        for s, side in enumerate(sides)
        for seed in seeds
        for i in ids
    }
    width = next((len(part) for part in parts.values() if part is not None), 0)
    ids = [
        i
        for i in ids
        if all(
            any(parts[s, k, i] is not None for k in seeds) for s in range(len(sides))
        )
    ]
    if not ids:
        return None
    nothing = [0.0] * width
    return np.array(
        [
            [
                [x for s in range(len(sides)) for x in (parts[s, k, i] or nothing)]
                for i in ids
            ]
            for k in seeds
        ]
    )

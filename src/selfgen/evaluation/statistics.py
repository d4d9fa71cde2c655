"""Intervals and tests over seeds and items: means, paired differences, ratios and sums.

Each is a function of sums over a table of seeds x items. Its error is that of the mean of
what each cell adds to it (its influence; the delta method), which ``crossed`` takes apart
into seeds and items. docs/statistics.md has the method in plain words, and its coverage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from selfgen.core.errors import UserError
from selfgen.evaluation import crossed

Values = Mapping[int, Mapping[str, float]]
"""Measured values: seed -> item id -> value."""

Weights = Mapping[str, float]
"""Of items, whatever the seed."""

LEAST_SEEDS = 3
"""Of fewer, differences between seeds are not known well enough for a claim about seeds."""


@dataclass(frozen=True)
class Interval:
    """A value with its interval; ``n`` items were read under each of ``seeds`` seeds.

    ``equal``: nothing varies. The ends are NaN where one item alone was read.
    """

    value: float
    low: float
    high: float
    n: int
    seeds: int
    equal: bool = False

    @property
    def sign(self) -> int:
        """1 or -1 where the interval excludes 0, else 0; 0 too where it claims nothing."""
        if self.seeds == 2 or self.equal:
            return 0
        return int(self.low > 0) - int(self.high < 0)


@dataclass(frozen=True)
class Difference(Interval):
    """A mean paired difference, its two-sided p-value, and ``detectable``: the smallest
    true difference that is found with 80 % power where errors are as large as here.

    ``over_seeds``: both sides have enough seeds to say what others would show; ``error``:
    its variance, None where nothing varies.
    """

    p: float = 1.0
    detectable: float = 0.0
    over_seeds: bool = False
    error: crossed.Error | None = field(default=None, compare=False, repr=False)


def mean_interval(
    values: Values,
    confidence: float,
    names: Sequence[str],
    *,
    share: bool = True,
    weights: Weights | None = None,
) -> Interval:
    """The mean of a cell over seeds and items.

    ``names`` say in errors which cell it is; ``share``: values are of 0..1, and so is the
    interval. ``weights`` of the items, such as how many tokens a value is the mean of; equal
    by default. Items may be missing under some seeds: the mean is over what is there. With
    one seed the interval covers items only. Raises UserError: no value, or one that is no
    number.
    """
    table = _weighted(values, weights, names)
    return _interval(table, _quotient, confidence, share=share)


def paired_difference(
    a: Values,
    b: Values,
    confidence: float,
    names: Sequence[str],
    *,
    weights: Weights | None = None,
) -> Difference:
    """The mean of ``a - b`` over the seeds and items that both have; ``weights`` as in
    ``mean_interval``.

    Where one side has a single seed (greedy answers of an untrained model), its values
    are paired with each seed of the other. Raises UserError when no seed or no item is
    shared, or a value is no number.
    """
    pairs = [(i, j) for i in sorted(a) for j in sorted(b)]
    if len(a) > 1 and len(b) > 1:
        pairs = [(i, j) for i, j in pairs if i == j]
    if not pairs:
        raise UserError(f"{' '.join(names)}: no seed in common: {list(a)}, {list(b)}")
    differences: Values = {
        j if len(a) == 1 else i: {
            item: a[i][item] - b[j][item] for item in a[i] if item in b[j]
        }
        for i, j in pairs
    }
    value, error = _linear(_weighted(differences, weights, names), _quotient)
    low, high = limits(value, error, confidence)
    ends = Difference(float(value), float(low), float(high), error.items, error.seeds)
    if error.items == 1 or error.variance == 0:
        return replace(ends, equal=error.items > 1)
    distance = np.abs(value) / np.sqrt(error.variance)
    p = crossed.p_value(distance, error.share, error.seeds, error.items)
    detectable = crossed.smallest_detectable(error, confidence)
    return replace(
        ends,
        p=float(p[0]),
        detectable=float(detectable),
        over_seeds=min(len(a), len(b), len(pairs)) >= LEAST_SEEDS,
        error=error,
    )


def ratio_interval(
    parts: Values, wholes: Values, confidence: float, names: Sequence[str]
) -> Interval | None:
    """Sum of ``parts`` over sum of ``wholes``: a share among what differs from seed to
    seed, such as fixes among wrong answers.

    None where the wholes are 0. Raises UserError when no seed or item is shared, or a value
    is no number.
    """
    table = _table([parts, wholes], names)[..., :2]
    if not table[..., 1].any():
        return None
    return _interval(table, _quotient, confidence, share=True)


def sums_interval(
    table: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray],
    confidence: float,
    *,
    share: bool = False,
) -> Interval | None:
    """A function of the sums of a table, with its interval; ``share`` as ``mean_interval``.

    ``table`` [seeds, items, columns] is summed over seeds and items; ``statistic`` takes
    sums [samples, columns], real or complex, to values [samples], NaN where there is none.
    None where the table has no finite value. ``n`` of the interval counts items.
    """
    if not np.isfinite(statistic(table.sum((0, 1))[None])[0]):
        return None
    return _interval(table, statistic, confidence, share=share)


def limits(
    value: np.ndarray, error: crossed.Error, confidence: float, *, share: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The ends of intervals: arrays of the values' shape; NaN of one item.

    A ``share`` between 0 and 1 has its ends there too: its error is taken to grow with
    the share as that of a coin does (Wilson 1927, of as many tosses as have its error).
    """
    if error.items == 1:
        nothing = np.full(np.shape(value), np.nan)
        return nothing, nothing
    reach = crossed.critical(error.share, error.seeds, error.items, confidence)
    if not share or np.any((value < 0) | (value > 1)):
        half = reach * np.sqrt(error.variance)
        return value - half, value + half
    coin = value * (1 - value)
    # Where nothing varies, as many tosses as items.
    rate = np.divide(
        error.variance,
        coin,
        out=np.full_like(error.variance, 1 / error.items),
        where=(coin > 0) & (error.variance > 0),
    )
    spread = reach**2 * rate
    middle = (value + spread / 2) / (1 + spread)
    half = np.sqrt(spread * (coin + spread / 4)) / (1 + spread)
    return middle - half, middle + half


def shared(
    a: Mapping[int, Mapping[str, Any]],
    b: Mapping[int, Mapping[str, Any]],
    names: Sequence[str],
) -> tuple[list[int], list[str]]:
    """The seeds that both have, and the ids that both have under each of those.

    Raises UserError, which begins with ``names``, when there are none.
    """
    seeds = sorted(set(a) & set(b))
    if not seeds:
        raise UserError(f"{' '.join(names)}: no seed in common: {list(a)}, {list(b)}")
    ids = set.intersection(*(set(side[k]) for side in (a, b) for k in seeds))
    if not ids:
        raise UserError(f"{' '.join(names)}: no item that every seed has")
    return seeds, sorted(ids)


def divided(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``a / b`` for arrays of one shape, NaN where ``b`` is 0."""
    empty = np.full(np.shape(a), np.nan, dtype=np.result_type(a, b, float))
    return np.divide(a, b, out=empty, where=b != 0)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given (Holm 1979)."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def _weighted(
    values: Values, weights: Weights | None, names: Sequence[str]
) -> np.ndarray:
    """[seeds, items, 2]: weighted values, and weights."""
    if weights is None:
        return _table([values], names)
    scaled = {
        seed: {item: weights[item] * value for item, value in by_item.items()}
        for seed, by_item in values.items()
    }
    own = {
        seed: {item: weights[item] for item in by_item}
        for seed, by_item in values.items()
    }
    return _table([scaled, own], names)[..., :2]


def _table(columns: Sequence[Values], names: Sequence[str]) -> np.ndarray:
    """[seeds, items, columns and whether all of them are there], 0 where one is not.

    Of the seeds and items that all columns have anywhere. Raises UserError: there are none,
    or a value is no number.
    """
    where = " ".join(names)
    seeds = sorted(set.intersection(*map(set, columns)))
    if not seeds:
        found = ", ".join(str(list(values)) for values in columns)
        raise UserError(f"{where}: no seed in common: {found}")
    there = [set.intersection(*(set(values[k]) for values in columns)) for k in seeds]
    ids = sorted(set.union(*there))
    if not all(there):
        raise UserError(f"{where}: no item of seed {seeds[there.index(set())]}")
    table = np.zeros((len(seeds), len(ids), len(columns) + 1))
    for line, k, present in zip(table, seeds, there, strict=True):
        for cell, item in zip(line, ids, strict=True):
            if item in present:
                cell[:] = [*(values[k][item] for values in columns), 1]
    if not np.isfinite(table).all():
        s, i, c = np.argwhere(~np.isfinite(table))[0]
        raise UserError(
            f"{where}: found {table[s, i, c]} for item {ids[i]} of seed {seeds[s]},"
            " allowed are finite numbers"
        )
    return table


def _interval(
    table: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray],
    confidence: float,
    *,
    share: bool = False,
) -> Interval:
    value, error = _linear(table, statistic)
    low, high = limits(value, error, confidence, share=share)
    equal = error.items > 1 and float(error.variance) == 0
    ends = (float(value), float(low), float(high))
    return Interval(*ends, error.items, error.seeds, equal)


def _quotient(sums: np.ndarray) -> np.ndarray:
    return divided(sums[:, 0], sums[:, 1])


def _linear(
    table: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, crossed.Error]:
    """The value of all sums, and its error from what each cell adds to it (one number each).

    The gradient is taken by a complex step, which has no rounding error (Squire and Trapp
    1998).
    """
    seeds, items, columns = table.shape
    cells = seeds * items
    sums = table.sum((0, 1))
    value = statistic(sums[None])[0]
    step = 1e-30
    gradient = statistic(sums + 1j * step * np.eye(columns)).imag / step
    parts = (table - sums / cells) @ gradient * cells
    # Parts that cancel are zero but for their last bits, which differ between CPUs.
    largest = (np.abs(table).max((0, 1)) * np.abs(gradient)).max() * cells
    parts[np.abs(parts) <= 1e-9 * largest] = 0
    return np.asarray(value), crossed.error(parts)

"""Intervals and tests: a paired bootstrap over seeds and items, and Holm's correction.

Every seed answers the same items, so the design is crossed: a bootstrap sample draws
seeds and items once each and takes all pairs. Drawing items anew inside each seed would
treat one hard item as several independent ones and make the interval too narrow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from selfgen.core.errors import UserError

Values = Mapping[int, Mapping[str, float]]
"""Measured values: seed -> item id -> value."""


@dataclass(frozen=True)
class Bootstrap:
    """How to resample: number of samples, confidence (0..1), seed of the draws."""

    samples: int
    confidence: float
    seed: int


@dataclass(frozen=True)
class Interval:
    """A mean with its interval; ``n`` items were read under each of ``seeds`` seeds."""

    value: float
    low: float
    high: float
    n: int
    seeds: int


@dataclass(frozen=True)
class Difference(Interval):
    """A mean paired difference, with its standard error and two-sided p-value."""

    se: float
    p: float

    @property
    def sign(self) -> int:
        """1 or -1 where the interval excludes 0, else 0."""
        return int(self.low > 0) - int(self.high < 0)


def mean_interval(
    values: Values, bootstrap: Bootstrap, names: Sequence[str]
) -> Interval:
    """The mean of a cell over seeds and items, with a percentile interval.

    ``names`` say in errors which cell it is; ``bootstrap.seed`` fixes the random draws. Items
    that not every seed has are left out. With one seed the interval covers items only.
    Raises UserError when no item is left.
    """
    seeds, ids = shared(values, values, names)
    matrix = _matrix(values, seeds, ids)
    low, high = _percentiles(_means(matrix, bootstrap), bootstrap.confidence)
    return Interval(float(matrix.mean()), low, high, len(ids), len(seeds))


def paired_difference(
    a: Values, b: Values, bootstrap: Bootstrap, names: Sequence[str]
) -> Difference:
    """The mean of ``a - b`` over the seeds and items that both have.

    Where one side has a single seed (greedy answers of an untrained model), its values
    are paired with each seed of the other. The p-value is the two-sided percentile one,
    with the observed sample counted in (Davison and Hinkley 1997, 4.2.5). Raises
    UserError when no seed or no item is shared.
    """
    pairs = [(i, j) for i in sorted(a) for j in sorted(b)]
    if len(a) > 1 and len(b) > 1:
        pairs = [(i, j) for i, j in pairs if i == j]
    if not pairs:
        raise UserError(f"{' '.join(names)}: no seed in common: {list(a)}, {list(b)}")
    sides = [*a.values(), *b.values()]
    ids = sorted(set.intersection(*map(set, sides)))
    if not ids:
        raise UserError(f"{' '.join(names)}: no item that every seed has")
    left, right = zip(*pairs, strict=True)
    matrix = _matrix(a, left, ids) - _matrix(b, right, ids)
    means = _means(matrix, bootstrap)
    low, high = _percentiles(means, bootstrap.confidence)
    # Sums that cancel are zero but for their last bits, which differ between CPUs.
    zero = 1e-9 * np.abs(matrix).max()
    tail = min(np.count_nonzero(means <= zero), np.count_nonzero(means >= -zero))
    p = min(1.0, 2 * (int(tail) + 1) / (bootstrap.samples + 1))
    return Difference(
        float(matrix.mean()), low, high, len(ids), len(pairs), float(means.std()), p
    )


def ratio_interval(
    parts: Values, wholes: Values, bootstrap: Bootstrap, names: Sequence[str]
) -> Interval | None:
    """Sum of ``parts`` over sum of ``wholes``: a share among what differs from seed to
    seed, such as fixes among wrong answers.

    Resampled as in ``sums_interval``; None where the wholes are 0. Raises UserError when
    no seed or item is shared.
    """
    seeds, ids = shared(parts, wholes, names)
    table = np.array([[(parts[k][i], wholes[k][i]) for i in ids] for k in seeds])
    return sums_interval(table, lambda sums: divided(*sums.T), bootstrap)


def sums_interval(
    table: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray],
    bootstrap: Bootstrap,
) -> Interval | None:
    """A function of the sums of a table, with a percentile interval.

    ``table`` [seeds, items, columns] is summed over seeds and items; ``statistic`` takes
    sums [samples, columns] to values [samples], NaN where there is none. Samples without
    a value are left out; a table without one gives None. Seeds and items are drawn once
    each, and one seed fewer, as in ``mean_interval``; ``n`` of the interval counts items.
    """
    seeds, n, _ = table.shape
    value = float(statistic(table.sum(axis=(0, 1))[None])[0])
    if np.isnan(value):
        return None
    values = statistic(_resampled(table, bootstrap))
    low, high = _percentiles(values[~np.isnan(values)], bootstrap.confidence)
    return Interval(value, low, high, n, seeds)


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
    return np.divide(a, b, out=np.full(np.shape(a), np.nan), where=b != 0)


def smallest_detectable(se: float, confidence: float, power: float = 0.8) -> float:
    """The true difference that a two-sided test finds with probability ``power``.

    ``se`` is the standard error of the paired difference; the answer has its unit
    (normal approximation: Cohen 1988).
    """
    from scipy.stats import norm

    return float((norm.ppf((1 + confidence) / 2) + norm.ppf(power)) * se)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given (Holm 1979)."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def _matrix(values: Values, seeds: Iterable[int], ids: list[str]) -> np.ndarray:
    return np.array([[values[k][i] for i in ids] for k in seeds], dtype=float)


def _means(matrix: np.ndarray, bootstrap: Bootstrap) -> np.ndarray:
    """Bootstrap means of a seeds x items matrix."""
    seeds, n = matrix.shape
    return _resampled(matrix[:, :, None], bootstrap)[:, 0] / (n * max(1, seeds - 1))


def _resampled(table: np.ndarray, bootstrap: Bootstrap) -> np.ndarray:
    """Sums [samples, columns] of a table [seeds, items, columns], resampled."""
    seeds, n, columns = table.shape
    items, drawn = _draws(bootstrap, seeds, n)
    flat = table.transpose(1, 0, 2).reshape(n, -1)
    parts = [
        items[i : i + 1024].astype(float) @ flat for i in range(0, len(items), 1024)
    ]
    by_seed = np.concatenate(parts).reshape(-1, seeds, columns)
    return (by_seed * drawn[:, :, None]).sum(axis=1)


@lru_cache(maxsize=8)
def _draws(bootstrap: Bootstrap, seeds: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each bootstrap sample takes each item, and each seed. Cells of the same
    size share their draws, so that a whole table is resampled as one."""
    rng = np.random.default_rng([bootstrap.seed, seeds, n])
    items = rng.multinomial(n, np.full(n, 1 / n), size=bootstrap.samples).astype(
        np.int16
    )
    # One seed fewer than there are: drawing all of k seeds gives (k - 1) / k of the
    # variance, which matters at k = 3 (McCarthy and Snowden 1985).
    return items, rng.multinomial(
        max(1, seeds - 1), np.full(seeds, 1 / seeds), size=bootstrap.samples
    )


def _percentiles(means: np.ndarray, confidence: float) -> tuple[float, float]:
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)

"""The error of a value that was read from every item under every seed.

Seeds and items are both samples: other seeds give other models, other items other answers.
Every seed answers the same items, so what each cell adds to the value is taken apart into
what seeds share, what items share and the rest (crossed random effects; for unequal cells
this is the two-way clustered variance of Cameron, Gelbach and Miller 2011). Of k seeds the
share of the seeds is known with k - 1 degrees of freedom only, and quantiles say so.

docs/statistics.md says the method in plain words, and how often its intervals cover.
"""

from __future__ import annotations

import bisect
import functools
from dataclasses import dataclass

import numpy as np

MATCHING = 0.3
"""How far quantiles go from the fiducial ones of Behrens and Fisher (0) to those of the
prior of Ghosh and Kim 2001, which matches coverage to second order (1). At 0 intervals of
three seeds cover too often (.976), at 1 extreme p-values of three seeds are too small."""

Array = np.ndarray


@dataclass(frozen=True)
class Error:
    """Estimated variance of values, by where it comes from: arrays of one shape.

    ``by_seeds`` has the degrees of freedom of ``seeds``, ``by_items`` those of ``items``,
    one fewer than there are. The rest of a cell (neither seed nor item) counts with the
    seeds where there are several.
    """

    by_seeds: Array
    by_items: Array
    seeds: int
    items: int

    @property
    def variance(self) -> Array:
        return self.by_seeds + self.by_items

    @property
    def share(self) -> Array:
        """The share of the seeds; 0 where nothing varies."""
        total = self.variance
        return np.divide(
            self.by_seeds, total, out=np.zeros_like(total), where=total > 0
        )


def error(parts: Array) -> Error:
    """Of values that are means of ``parts`` [..., seeds, items].

    Where the seeds' mean square is below the rest's, it stays as it is: it is all that is
    known of how much seeds differ. Items that differ less than the rest add nothing.
    """
    seeds, items = parts.shape[-2:]
    mean = parts.mean((-2, -1), keepdims=True)
    by_item = parts.mean(-2, keepdims=True) - mean
    items_square = seeds * np.sum(by_item**2, (-2, -1)) / max(1, items - 1)
    if seeds == 1:
        return Error(np.zeros_like(items_square), items_square / items, 1, items)
    by_seed = parts.mean(-1, keepdims=True) - mean
    seeds_square = items * np.sum(by_seed**2, (-2, -1)) / (seeds - 1)
    rest = np.sum((parts - mean - by_item - by_seed) ** 2, (-2, -1))
    rest = rest / ((seeds - 1) * max(1, items - 1))
    return Error(
        seeds_square / (seeds * items),
        np.maximum(items_square - rest, 0) / (seeds * items),
        seeds,
        items,
    )


def p_value(distance: Array, share: Array, seeds: int, items: int) -> Array:
    """Two-sided p of a ``distance`` in standard errors, of which variance the seeds have a
    ``share``; arrays [values].

    The error is a normal one whose variance is not known: that of the seeds is its estimate
    over a chi square with seeds - 1 degrees of freedom, that of the items likewise.
    """
    from scipy.special import ndtr
    from scipy.stats import t

    distance, share = np.atleast_1d(distance), np.atleast_1d(share)
    if seeds == 1:
        return 2 * t.sf(distance, items - 1)
    of_items, item_weights = _chi_square(items - 1, 10)
    of_seeds, seed_weights = _chi_square(seeds - 1, 60)
    by_items = (1 - share)[:, None]
    by_seeds = share[:, None] / of_seeds
    # Ghosh and Kim: weight by all of the variance over that of the seeds.
    whole = 1 + by_items * of_seeds / np.maximum(share, 1e-12)[:, None]
    weights = (seed_weights * whole**MATCHING)[:, :, None] * item_weights
    variance = by_seeds[:, :, None] + (by_items / of_items)[:, None, :]
    tails = 2 * ndtr(-distance[:, None, None] / np.sqrt(variance))
    return (tails * weights).sum((1, 2)) / weights.sum((1, 2))


def critical(share: Array, seeds: int, items: int, confidence: float) -> Array:
    """How many standard errors an interval reaches to each side."""
    if seeds == 1:
        from scipy.stats import t

        return np.full(np.shape(share), t.ppf((1 + confidence) / 2, items - 1))
    angles, values = _critical_values(seeds, items, confidence)
    return np.interp(np.arcsin(np.sqrt(np.clip(share, 0, 1))), angles, values)


def smallest_detectable(
    error: Error, confidence: float, power: float = 0.8, *, seeds: int | None = None
) -> Array:
    """The true differences that intervals tell from 0 with probability ``power``, where
    errors are as large as ``error``; with ``seeds``, those of a run over so many seeds and
    the same items, of which ``error`` is known from this one.

    Of few seeds an estimated variance is below the true one more often than not: that of the
    seeds is raised by the median of its error, so that half of the answers are too large.
    """
    from scipy.special import ndtr
    from scipy.stats import chi2

    seeds = seeds or error.seeds
    by_seeds, by_items = (x[..., None] for x in (error.by_seeds, error.by_items))
    drawn, weights = np.ones(1), np.ones(1)
    if error.seeds > 1:
        by_seeds = by_seeds * (error.seeds - 1) / chi2.median(error.seeds - 1)
        by_seeds = by_seeds * (error.seeds / seeds)
        drawn, weights = _chi_square(seeds - 1, 40)
    true = by_seeds + by_items
    again = Error(by_seeds * drawn, by_items + 0 * drawn, seeds, error.items)
    reach = critical(again.share, seeds, error.items, confidence)
    reach = reach * np.sqrt(again.variance / np.where(true > 0, true, 1))
    low = np.zeros_like(true)
    high = low + 2 * reach.max() + 10
    for _ in range(40):
        middle = (low + high) / 2
        found = (ndtr(middle - reach) + ndtr(-middle - reach)) @ weights
        enough = found[..., None] > power * weights.sum()
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return ((low + high) / 2 * np.sqrt(true))[..., 0]


def seeds_needed(
    error: Error, difference: float, confidence: float, most: int
) -> int | None:
    """The fewest seeds, from three on, with which a true ``difference`` is found with 80 %
    power, the items as they are; None where more than ``most`` are needed, or nothing is
    known of how much seeds differ."""
    if error.seeds == 1:
        return None

    def missed(seeds: int) -> bool:
        found = smallest_detectable(error, confidence, seeds=seeds)
        return float(found) > difference

    # More seeds find more, so those that miss come first.
    enough = 3 + bisect.bisect_left(
        range(3, most + 1), True, key=lambda k: not missed(k)
    )
    return enough if enough <= most else None


@functools.lru_cache(maxsize=256)
def _critical_values(seeds: int, items: int, confidence: float) -> tuple[Array, Array]:
    """Critical distances over the angle whose squared sine is the seeds' share."""
    from scipy.stats import t

    angles = np.linspace(0, np.pi / 2, 65)
    share = np.sin(angles) ** 2
    low = np.zeros_like(share)
    most = max(seeds, 2), max(items, 2)
    high = np.full_like(
        share, 2 * max(t.ppf((1 + confidence) / 2, x - 1) for x in most)
    )
    for _ in range(50):
        middle = (low + high) / 2
        outside = p_value(middle, share, seeds, items) > 1 - confidence
        low, high = np.where(outside, middle, low), np.where(outside, high, middle)
    return angles, (low + high) / 2


@functools.lru_cache(maxsize=256)
def _chi_square(freedom: int, points: int) -> tuple[Array, Array]:
    """Nodes and weights of an integral over a mean square, in units of its expectation.

    Gauss and Legendre over the fourth root of the probability: dense near 0, where the
    estimate is far too small and tails come from.
    """
    from scipy.stats import chi2

    x, weights = np.polynomial.legendre.leggauss(points)
    x = (x + 1) / 2
    return chi2.ppf(x**4, freedom) / freedom, weights / 2 * 4 * x**3

"""How often intervals cover, marks err and differences are found: simulated.

``python -m tests.coverage`` writes the tables of docs/statistics.md, and a slow test holds
them against it.

Every seed answers the same items. An answer is a normal sum of what is of the item, of the
seed, and the rest: right where it is above 0, or graded (like ROUGE), then cut to 0..1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import chi2, norm

from selfgen.evaluation import crossed
from selfgen.evaluation.statistics import limits
from selfgen.report import grid, ship

PAGE = Path(__file__).parents[1] / "docs" / "statistics.md"
CONFIDENCE = 0.95
SEEDS = (1, 2, 3, 5, 6)
ITEMS = (64, 256, 1000)
MANY = (2, 3, 4, 5, 6, 8, 10, 20)
SPREADS = {0.0: "none", 0.01: "1 point", 0.03: "3 points"}
"""Standard deviation of the seeds' means, about."""
RUNS = 4000
RARE = "right or wrong, 5% right"
MIDDLES = {"right or wrong, 30% right": -0.705, RARE: -2.21}
"""Of the kinds that are right or wrong, see ``_answers``."""
DIFFERENCES = ("difference of right or wrong", "difference of graded")
KINDS = (*MIDDLES, "graded", "ratio (fixed of the wrong)", *DIFFERENCES)
FAMILIES = (6, 12, 24)
SHARES = (0.0, 0.5, 0.93)
"""The seeds' share of the variance of comparisons; at the last most errors are made."""
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(41)
WEIGHTS = WEIGHTS / WEIGHTS.sum()
ITEM, SEED = 0.9, 4.0
"""Of right-or-wrong answers: how much items differ, in units of the rest; how much seeds
must, for 30 % right, to spread their means by 1."""

Array = np.ndarray


@dataclass(frozen=True)
class Drawn:
    """Answers [runs, seeds, items], whose mean is measured or, of the ``wholes``, their sum
    over that of these; its truth for any seed, and for the first one alone [runs]."""

    answers: Array
    truth: float
    given_first: Array
    wholes: Array | None = None

    def measured(self, seeds: int) -> tuple[Array, crossed.Error]:
        """The values of all runs with so many seeds, and their errors."""
        own = self.answers[:, :seeds]
        if self.wholes is None:
            return own.mean((1, 2)), crossed.error(own)
        wholes = self.wholes[:, :seeds]
        size = wholes.mean((1, 2), keepdims=True)
        value = own.mean((1, 2), keepdims=True) / size
        return value[:, 0, 0], crossed.error((own - value * wholes) / size)


@dataclass(frozen=True)
class Line:
    """One kind, spread and number of seeds: by number of items how often intervals cover;
    of differences also how often one of the size that is called detectable is found."""

    kind: str
    spread: float
    seeds: int
    covered: tuple[float, ...]
    found: tuple[float, ...]


def simulate() -> list[Line]:
    """All lines of the page, by kind, spread and seeds."""
    rng = np.random.default_rng(2026)
    lines = []
    for kind in KINDS:
        for spread in SPREADS:
            drawn = [_drawn(rng, kind, spread, n) for n in ITEMS]
            lines += [
                Line(
                    kind,
                    spread,
                    seeds,
                    tuple(_covered(one, kind, seeds) for one in drawn),
                    tuple(
                        _found(one, seeds)
                        for one in drawn
                        if kind in DIFFERENCES and seeds != 2
                    ),
                )
                for seeds in SEEDS
            ]
    return lines


def family_errors() -> dict[tuple[int, float, int], float]:
    """How often at least one of some comparisons without any difference gets two marks, by
    number of seeds, share of their variance that is the seeds', and size of the family.

    The comparisons are independent, which is the worst case; a share of 0: seeds do not
    differ.
    """
    rng = np.random.default_rng(2027)
    items, largest = 64, max(FAMILIES)
    errors = {}
    for share in SHARES:
        for seeds in (k for k in SEEDS if k > 2):
            p = np.empty((RUNS, largest))
            for column in p.T:
                answers = rng.standard_normal((RUNS, seeds, items), dtype=np.float32)
                answers *= 0.5
                answers += rng.standard_normal((RUNS, 1, items), dtype=np.float32)
                if share:
                    # The mean's variance: of items 1 / items, of the rest a part more.
                    of_seeds = seeds * share / (1 - share) / items - 0.25 / items
                    spread = np.float32(of_seeds**0.5)
                    shape = (RUNS, seeds, 1)
                    answers += spread * rng.standard_normal(shape, dtype=np.float32)
                error = crossed.error(answers)
                distance = np.abs(answers.mean((1, 2))) / np.sqrt(error.variance)
                column[:] = crossed.p_value(distance, error.share, seeds, items)
            for size in FAMILIES:
                # Holm's first step: one is rejected if the smallest p is.
                least = p[:, :size].min(1) * size
                errors[seeds, share, size] = float(np.mean(least < 1 - CONFIDENCE))
    return errors


def texts(
    lines: Sequence[Line], errors: Mapping[tuple[int, float, int], float]
) -> dict[str, str]:
    """The tables of the page by the name of their marks."""
    by_items: list[grid.Box] = [f"n = {n}" for n in ITEMS]
    covered = grid.Grid(
        name="coverage",
        title=f"How often {CONFIDENCE:.0%} intervals cover, of {RUNS} simulated tables.",
        header=["Value", "Seeds differ by", "Seeds", *by_items],
        rows=[
            [line.kind, SPREADS[line.spread], _seeds(line.seeds)]
            + [f"{x:.3f}" for x in line.covered]
            for line in lines
        ],
        left=2,
    )
    found = grid.Grid(
        name="power",
        title="How often a difference is found that is as large as the smallest detectable"
        " one that the median table prints (claimed: .800).",
        header=["Value", "Seeds differ by", "Seeds", *by_items],
        rows=[
            [line.kind, SPREADS[line.spread], _seeds(line.seeds)]
            + [f"{x:.3f}" for x in line.found]
            for line in lines
            if line.found
        ],
        left=2,
    )
    family = grid.Grid(
        name="families",
        title=f"How often a family without any difference has a doubled mark, of {RUNS}"
        " simulated families (claimed: .050 at most).",
        header=[
            "Seeds",
            "Share of the variance",
            *(f"{n} comparisons" for n in FAMILIES),
        ],
        rows=[
            [str(seeds), f"{share:.0%}" if share else "they do not differ"]
            + [f"{errors[seeds, share, size]:.3f}" for size in FAMILIES]
            for seeds in SEEDS
            for share in SHARES
            if seeds > 2
        ],
    )
    seeds = grid.Grid(
        name="seeds",
        title="The smallest true difference that is found with 80% power where seeds decide"
        " all, in standard deviations of the difference between seeds.",
        header=["Seeds", *map(str, MANY)],
        rows=[["Difference", *(f"{_by_seeds(k):.1f}" for k in MANY)]],
    )
    made = (covered, found, family, seeds)
    return {one.name: grid.to_markdown(one) for one in made}


def _by_seeds(seeds: int) -> float:
    """The smallest detectable difference of so many seeds whose differences vary by 1."""
    # What the median table estimates, so that the answer is that of the true variance.
    median = chi2.median(seeds - 1) / (seeds - 1) / seeds
    error = crossed.Error(np.array(median), np.array(0.0), seeds, 1000)
    return float(crossed.smallest_detectable(error, CONFIDENCE))


def _seeds(seeds: int) -> str:
    return {1: "1, given that seed", 2: "2 (no claim)"}.get(seeds, str(seeds))


def _covered(drawn: Drawn, kind: str, seeds: int) -> float:
    value, error = drawn.measured(seeds)
    share = kind not in DIFFERENCES
    low, high = limits(value, error, CONFIDENCE, share=share)
    truth = drawn.given_first if seeds == 1 else drawn.truth
    return float(np.mean((low <= truth) & (truth <= high)))


def _found(drawn: Drawn, seeds: int) -> float:
    """How often a true difference is found that is as large as what the median table calls
    the smallest that is found with 80 % power."""
    value, error = drawn.measured(seeds)
    if seeds == 1:
        value = value - drawn.given_first
    size = np.median(crossed.smallest_detectable(error, CONFIDENCE))
    low, high = limits(value + size, error, CONFIDENCE)
    return float(np.mean((low > 0) | (high < 0)))


def _drawn(rng: np.random.Generator, kind: str, spread: float, items: int) -> Drawn:
    shared = rng.standard_normal((RUNS, 1, items), dtype=np.float32)
    if kind in MIDDLES:
        return _right(rng, spread, shared, MIDDLES[kind])
    if kind == "graded":
        return _graded(rng, spread, shared)
    if kind.startswith("ratio"):
        return _fixed(rng, spread, shared)
    a, b = (
        _graded(rng, spread, shared)
        if kind == "difference of graded"
        else _right(rng, spread, shared, -0.4)
        for _ in range(2)
    )
    return Drawn(a.answers - b.answers, 0.0, a.given_first - b.given_first)


def _graded(rng: np.random.Generator, spread: float, shared: Array) -> Drawn:
    seeds = spread * rng.standard_normal((RUNS, max(SEEDS), 1), dtype=np.float32)
    rest = rng.standard_normal((RUNS, max(SEEDS), shared.shape[-1]), dtype=np.float32)
    of_seed = np.hypot(0.1, 0.08)
    return Drawn(
        np.clip(0.25 + 0.1 * shared + seeds + 0.08 * rest, 0, 1),
        float(_cut(np.array([0.25]), np.hypot(of_seed, spread))[0]),
        _cut(0.25 + seeds[:, 0, 0], of_seed),
    )


def _cut(mean: Array, deviation: float) -> Array:
    """The mean of a normal variable that is cut to 0..1."""
    a, b = -mean / deviation, (1 - mean) / deviation
    inside = mean * (norm.cdf(b) - norm.cdf(a))
    return inside + deviation * (norm.pdf(a) - norm.pdf(b)) + norm.sf(b)


def _right(
    rng: np.random.Generator, spread: float, shared: Array, middle: float
) -> Drawn:
    answers, seeds = _answers(rng, spread, shared, middle)
    return Drawn(
        answers,
        float(_by_item(np.array([middle]), spread)[0] @ WEIGHTS),
        _by_item(middle + seeds, 0.0) @ WEIGHTS,
    )


def _fixed(rng: np.random.Generator, spread: float, shared: Array) -> Drawn:
    """Of the answers that are wrong in a first turn, those that are right in a second."""
    middles = (-0.4, -1.2)
    (first, a), (second, b) = (_answers(rng, spread, shared, m) for m in middles)

    def truth(wrong: Array, fixed: Array) -> Array:
        return ((1 - wrong) * fixed) @ WEIGHTS / ((1 - wrong) @ WEIGHTS)

    any_seed = [_by_item(np.array([m]), spread) for m in middles]
    own = [_by_item(m + seed, 0.0) for m, seed in zip(middles, (a, b), strict=True)]
    return Drawn(
        (1 - first) * second, float(truth(*any_seed)[0]), truth(*own), 1 - first
    )


def _answers(
    rng: np.random.Generator, spread: float, shared: Array, middle: float
) -> tuple[Array, Array]:
    """Answers [runs, seeds, items], 1 where right, and what is of the first seeds [runs].

    An answer is right where a normal sum is above 0: ``middle``, item, seed and rest.
    """
    deviation = np.float32(SEED * spread)
    seeds = deviation * rng.standard_normal((RUNS, max(SEEDS), 1), dtype=np.float32)
    rest = rng.standard_normal((RUNS, max(SEEDS), shared.shape[-1]), dtype=np.float32)
    right = rest > -(np.float32(middle) + np.float32(ITEM) * shared) - seeds
    return right.astype(np.float32), seeds[:, 0, 0]


def _by_item(middles: Array, spread: float) -> Array:
    """The chances of items at ``NODES`` [middles, nodes], over seeds and the rest."""
    chance: Array = norm.cdf(
        (middles[:, None] + ITEM * NODES) / np.hypot(1, SEED * spread)
    )
    return chance


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    made = texts(simulate(), family_errors())
    PAGE.write_text(ship.show(page, made), encoding="utf-8")

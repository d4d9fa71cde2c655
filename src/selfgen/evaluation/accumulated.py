"""Accumulated error against an oracle (Arora et al. 2022, arXiv 2204.01171), from the step
errors of ``exposure.step_errors``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from selfgen.core.errors import UserError
from selfgen.evaluation.statistics import Interval, divided, shared, sums_interval

Errors = Mapping[int, Mapping[str, Sequence[float]]]
"""Step errors of answers, in nats: seed -> prompt id -> [answer length]."""


@dataclass(frozen=True)
class Accumulated:
    """Errors up to ``length`` l: R(l) ``free`` and G(l) ``gold``, in nats."""

    length: int
    free: float
    gold: float

    @property
    def acc(self) -> float | None:
        """AccErr(l) = l R / G in steps; l without exposure bias, None where G is 0."""
        return self.length * self.free / self.gold if self.gold else None

    @property
    def excess(self) -> float | None:
        """ExAccErr(l) = 100 (R / G - 1) in per cent; None where G is 0."""
        return 100 * (self.free / self.gold - 1) if self.gold else None


def accumulated(
    free_errors: Sequence[Sequence[float]],
    gold_errors: Sequence[Sequence[float]],
    lengths: Iterable[int],
) -> dict[int, Accumulated | None]:
    """R, G, AccErr and ExAccErr up to every length l asked, for answers' step errors.

    R(l) sums over steps t <= l the mean of ``free_errors`` (of ``step_errors``, nats), G(l)
    that of ``gold_errors``. Each mean is over the answers that have a step t, so answers
    shorter than l count for as long as they last: where answers end elsewhere than their
    references, cut both by ``paired`` first, or R and G are of different prompts. An l beyond
    the longest answer of either kind gives None.

    Only answer positions count. The paper's released loop starts at the first token of the
    prompt, which both sums share, and so draws the ratio towards 1. Raises UserError: a
    length below 1.
    """
    lengths = list(lengths)
    if any(length < 1 for length in lengths):
        raise UserError(f"length: found {min(lengths)}, allowed is 1 or more")
    longest = max(lengths, default=0)
    sums = [
        _table(errors, longest).sum(axis=0) for errors in (free_errors, gold_errors)
    ]
    reached: dict[int, Accumulated | None] = {}
    for length in lengths:
        free, gold = (
            float(divided(errors[:length], counts[:length]).sum())
            for errors, counts in sums
        )
        unreached = math.isnan(free + gold)
        reached[length] = None if unreached else Accumulated(length, free, gold)
    return reached


def excess_interval(
    free: Errors, gold: Errors, length: int, confidence: float, names: Sequence[str]
) -> Interval | None:
    """ExAccErr(length) in per cent with its interval, paired by prompt.

    ``value`` is that of ``accumulated`` on all ``paired`` answers. Only seeds and prompts
    that both sides have count. None where too few answers reach ``length`` (``enough``), or
    where G is 0. Raises UserError when nothing is shared.
    """

    def excess(sums: np.ndarray) -> np.ndarray:
        return (divided(sums[:, 0], sums[:, 1]) - 1) * 100

    return _interval([free, gold], excess, length, confidence, names)


def gap_interval(
    free: Errors, gold: Errors, length: int, confidence: float, names: Sequence[str]
) -> Interval | None:
    """R(length) - G(length) in nats, likewise."""

    def gap(sums: np.ndarray) -> np.ndarray:
        gaps: np.ndarray = sums[:, 0] - sums[:, 1]
        return gaps

    return _interval([free, gold], gap, length, confidence, names)


def gap_difference(
    own: tuple[Errors, Errors],
    base: tuple[Errors, Errors],
    length: int,
    confidence: float,
    names: Sequence[str],
) -> Interval | None:
    """The gap of one model minus that of another, each ``(free, gold)``, likewise, over the
    steps that the answers of both models and the reference have."""

    def difference(sums: np.ndarray) -> np.ndarray:
        gaps: np.ndarray = sums[:, 0] - sums[:, 1] - (sums[:, 2] - sums[:, 3])
        return gaps

    return _interval([*own, *base], difference, length, confidence, names)


def enough(counts: np.ndarray) -> np.ndarray:
    """Whether each of the steps [..., steps] is one that so many answers have that their mean
    has an interval: a quarter of those that have the first, and two. The mean of one answer
    looks sure and is not."""
    real = counts.real
    reached: np.ndarray = real.min(-1) >= np.maximum(2, 0.25 * real[..., 0])
    return reached


def together(*texts: Sequence[float]) -> list[Sequence[float]]:
    """Each as far as all of them go."""
    shortest = min(map(len, texts))
    return [text[:shortest] for text in texts]


def paired(free: Errors, gold: Errors) -> tuple[Errors, Errors]:
    """Of each prompt that both have the steps that both its texts have; nothing changes
    where all answers have one length, as in Arora et al. 2022.

    Without this the mean of a step is over other prompts on either side: where a model ends
    early on easy prompts, later steps of R are those of the hard ones, and R - G is above 0
    although the two contexts give equal errors at every step of every prompt.
    """
    both = {
        seed: {
            i: together(steps, gold[seed][i])
            for i, steps in by_id.items()
            if i in gold[seed]
        }
        for seed, by_id in free.items()
        if seed in gold
    }
    first, second = (
        {
            seed: {i: texts[side] for i, texts in by_id.items()}
            for seed, by_id in both.items()
        }
        for side in (0, 1)
    )
    return first, second


def of_length(free: Errors, gold: Errors, length: int) -> tuple[Errors, Errors]:
    """Both for prompts whose reference has so many tokens, and those of their answers that
    have them, too."""
    chosen = {
        seed: {
            i
            for i, steps in gold[seed].items()
            if len(steps) >= length and len(by_id.get(i, ())) >= length
        }
        for seed, by_id in free.items()
        if seed in gold
    }
    first, second = (
        {k: {i: side[k][i] for i in sorted(ids)} for k, ids in chosen.items() if ids}
        for side in (free, gold)
    )
    return first, second


def _interval(
    sides: Sequence[Errors],
    statistic: Callable[[np.ndarray], np.ndarray],
    length: int,
    confidence: float,
    names: Sequence[str],
) -> Interval | None:
    """Of a function of the accumulated errors [samples, sides], over what all sides have: of
    each prompt the steps that each has."""
    seeds, ids = shared(sides[0], sides[1], names)
    for side in sides[2:]:
        more, others = shared(sides[0], side, names)
        seeds, ids = [k for k in seeds if k in more], [i for i in ids if i in others]
    if not seeds or not ids:
        raise UserError(f"{' '.join(names)}: no seed or prompt in common")
    cells = [together(*(side[k][i] for side in sides)) for k in seeds for i in ids]
    flat = zip(*cells, strict=True)
    table = np.concatenate([_table(errors, length) for errors in flat], axis=1)

    def of_sums(sums: np.ndarray) -> np.ndarray:
        parts = sums.reshape(-1, len(sides), 2, length)
        errors, counts = parts[:, :, 0], parts[:, :, 1]
        sums = np.where(enough(counts), divided(errors, counts).sum(axis=-1), np.nan)
        return statistic(sums)

    return sums_interval(table.reshape(len(seeds), len(ids), -1), of_sums, confidence)


def _table(answers: Sequence[Sequence[float]], length: int) -> np.ndarray:
    """[answers, 2, length]: step errors, and 1 where an answer has the step."""
    table = np.zeros((len(answers), 2, length))
    for line, errors in zip(table, answers, strict=True):
        line[0, : len(errors)] = errors[:length]
        line[1, : len(errors)] = 1
    return table

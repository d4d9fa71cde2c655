"""The numbers of synthetic experiments: means and differences, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from selfgen.evaluation.statistics import (
    Difference,
    Interval,
    mean_interval,
    paired_difference,
    ratio_interval,
)
from selfgen.report.collect import cell_values
from selfgen.report.measure import Score, with_holm
from selfgen.report.synthetic.spec import ExperimentSpec

if TYPE_CHECKING:
    import pandas

MEASURES = ("exact", "free_error", "forced_error", "excess", "similarity", "nll")
COMPARED = ("exact", "free_error", "forced_error", "excess")
"""Measures whose differences to the baseline are shown."""

POOLED = ("free_error", "forced_error", "excess", "nll")
"""Measures of tokens: every position of an answer counts alike, so long answers count for
more. They are so in learning curves and by position, too."""

SHARES = ("exact", "free_error", "forced_error", "similarity")
"""Measures that are between 0 and 1."""

Key = tuple[str, str]
"""Method, decoding."""


@dataclass(frozen=True)
class Line:
    """One method of an experiment. ``recovery``: share of right tokens behind a wrong one;
    ``corruption``: share of its context tokens that are not the reference's."""

    method: str
    decoding: str
    cells: dict[str, Score]
    recovery: Interval | None
    corruption: float | None
    costs: dict[str, float]


@dataclass(frozen=True)
class Numbers:
    """All lines of an experiment by method and decoding; the seeds whose base has failed."""

    spec: ExperimentSpec
    lines: dict[Key, Line]
    failed: tuple[int, ...]
    seeds: int
    items: int


def with_errors(scores: pandas.DataFrame) -> pandas.DataFrame:
    """Scores with the token errors of each answer as shares of its positions."""
    free, forced = (scores[f"{x}_wrong"] / scores["n"] for x in ("free", "forced"))
    return scores.assign(free_error=free, forced_error=forced, excess=free - forced)


def interval(
    frame: pandas.DataFrame, measure: str, confidence: float, names: Sequence[str]
) -> Interval:
    """The mean of a measure in the rows of one cell."""
    return mean_interval(
        cell_values(frame, measure),
        confidence,
        names,
        share=measure in SHARES,
        weights=_weights(frame, measure),
    )


def difference(
    frame: pandas.DataFrame,
    base: pandas.DataFrame,
    measure: str,
    confidence: float,
    names: Sequence[str],
) -> Difference:
    """The same of the difference between two cells."""
    return paired_difference(
        cell_values(frame, measure),
        cell_values(base, measure),
        confidence,
        names,
        weights=_weights(frame, measure),
    )


def _weights(frame: pandas.DataFrame, measure: str) -> dict[str, float] | None:
    """Positions of the references, which do not depend on seed or method."""
    return (
        dict(zip(frame["id"], frame["n"], strict=True)) if measure in POOLED else None
    )


def numbers(
    scores: pandas.DataFrame,
    runs: pandas.DataFrame,
    experiment: ExperimentSpec,
    confidence: float,
) -> Numbers:
    """Every method of an experiment, from scores ``with_errors`` and the cost of its runs."""
    own = scores[scores["experiment"] == experiment.name]
    costs = runs[runs["experiment"] == experiment.name]
    failed = sorted(int(seed) for seed in costs.loc[costs["failed"] == 1, "seed"])
    groups = own.groupby(["method", "decoding"], sort=False)
    frames: dict[Key, pandas.DataFrame] = dict(iter(groups))
    keys = [key for method in experiment.methods for key in frames if key[0] == method]
    base = (experiment.baseline, "direct")
    cells: dict[tuple[Key, str], Score] = {}
    for measure in MEASURES:
        for key in keys:
            names = (experiment.name, measure, *key)
            compared = key != base and base in frames and measure in COMPARED
            cells[key, measure] = Score(
                interval(frames[key], measure, confidence, names),
                difference(frames[key], frames[base], measure, confidence, names)
                if compared
                else None,
                primary=measure == experiment.measure and key[0] in experiment.primary,
            )
    cells = with_holm(cells)
    lines = {}
    for key in keys:
        runs_of = costs[costs["method"] == key[0]]
        changed, made = (
            runs_of["changed_tokens"].sum(),
            runs_of["generated_tokens"].sum(),
        )
        after, recovered = (
            cell_values(frames[key], name) for name in ("after_error", "recovered")
        )
        lines[key] = Line(
            *key,
            {measure: cells[key, measure] for measure in MEASURES},
            ratio_interval(
                recovered, after, confidence, (experiment.name, "recovery", *key)
            ),
            # A control's context is corrupted where its pass differs, one token for another.
            float(changed / made) if runs_of["changed_tokens"].any() else None,
            {
                str(name): float(value)
                for name, value in runs_of.mean(numeric_only=True).items()
            },
        )
    return Numbers(
        experiment,
        lines,
        tuple(failed),
        int(own["seed"].nunique()),
        int(own["id"].nunique()),
    )


def seeds_interval(values: Sequence[float], confidence: float) -> Interval:
    """The mean over seeds with its t-interval; of one seed the value alone."""
    import numpy as np
    from scipy.stats import t

    k, mean = len(values), float(np.mean(values))
    half = 0.0
    if k > 1:
        se = float(np.std(values, ddof=1)) / k**0.5
        half = float(t.ppf((1 + confidence) / 2, k - 1)) * se
    return Interval(mean, mean - half, mean + half, k, k)

"""The numbers of the main table: scores, and how sure their differences are."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from selfgen.core.errors import UserError
from selfgen.evaluation.statistics import (
    Difference,
    Interval,
    holm,
    mean_interval,
    paired_difference,
)
from selfgen.evaluation.text import SHAPE
from selfgen.report.collect import (
    NO_MODEL,
    cell_values,
    in_order,
    label,
    measures,
    of_column,
)
from selfgen.report.dose import Doses, doses
from selfgen.report.grid import arrow
from selfgen.report.spec import Column, TableSpec

if TYPE_CHECKING:
    import pandas


FLOOR = 0.1
"""A column where every method scores less is too hard to tell methods apart."""
COSTS = ("steps", "labelled_tokens", "forwarded_tokens")
Key = tuple[str, str, str]
"""Model, method, decoding."""


@dataclass(frozen=True)
class Score:
    """One cell, as shares of 1: its mean, and its difference to the baseline; where only
    that is shown, it stands in both places.

    ``primary``: the difference was declared before the run; ``holm``: its p-value corrected
    for how many of those there are, None where seeds are too few for a claim.
    """

    mean: Interval
    difference: Difference | None = None
    primary: bool = False
    holm: float | None = None
    best: bool = False

    def mark(self, confidence: float, better: int = 1) -> str:
        """The mark of the difference; ``better``: the sign of a good one."""
        if self.difference is None:
            return ""
        twice = self.holm is not None and self.holm < 1 - confidence
        return arrow(better * self.difference.sign, twice)


MaybeScore = TypeVar("MaybeScore", Score, Score | None)


@dataclass(frozen=True)
class Line:
    """One method: its score in each column (None: not run), its costs and doses by task."""

    model: str
    method: str
    decoding: str
    label: str
    scores: tuple[Score | None, ...]
    costs: dict[str, tuple[float, ...]]
    doses: Doses

    @property
    def seeds(self) -> int:
        """The most seeds that a cell of this row has; 0 where no model answered."""
        if self.model == NO_MODEL:
            return 0
        return max((score.mean.seeds for score in self.scores if score), default=0)


@dataclass(frozen=True)
class Numbers:
    """The main table as numbers.

    ``floors`` and ``detectable`` (smallest detectable difference, None without a
    comparison) have one entry a column. ``fallen``: where a baseline lies below the method
    that it started from, by column (and model), by the names of both.
    """

    spec: TableSpec[Any]
    rows: tuple[Line, ...]
    floors: tuple[bool, ...]
    detectable: tuple[float | None, ...]
    fallen: dict[tuple[str, str], dict[str, Difference]]

    @property
    def shown(self) -> list[int]:
        """The columns that people are shown: of those at the floor only the best of a task
        that has none off it."""
        best: dict[str, int] = {}
        for i, column in enumerate(self.spec.columns):
            known = best.setdefault(column.task, i)
            if self._top(i) > self._top(known):
                best[column.task] = i
        return [
            i
            for i, column in enumerate(self.spec.columns)
            if not self.floors[i] or best[column.task] == i
        ]

    def _top(self, column: int) -> float:
        means = (
            score.mean.value
            for row in self.rows
            if row.model != NO_MODEL and (score := row.scores[column])
        )
        return max(means, default=0.0)

    def size(self, column: int) -> int:
        """The number of items of a column; 0 when nothing was run."""
        return max(
            (score.mean.n for row in self.rows if (score := row.scores[column])),
            default=0,
        )


def main_table(
    scores: pandas.DataFrame, runs: pandas.DataFrame, spec: TableSpec[Any]
) -> Numbers:
    """Means, intervals and tests of every (model, method, decoding) in every column.

    Rows keep the order of ``scores``, with the row of no model first. Each model's
    methods are compared with its own ``spec.baseline_of`` (decoding direct). Raises
    UserError: a column's metric is none of the scores'.
    """
    _check_columns(scores, spec)
    keys = _keys(scores)
    scores_of = with_holm(
        {
            (i, key): score
            for i, column in enumerate(spec.columns)
            for key, score in _column(scores, keys, column, spec).items()
        }
    )
    columns = [
        {key: scores_of[i, key] for key in keys} for i in range(len(spec.columns))
    ]
    return Numbers(
        spec,
        tuple(
            Line(
                *key,
                label(spec.labels, key[1], key[2]),
                tuple(column[key] for column in columns),
                _costs(runs, key),
                doses(runs, *key[:2]),
            )
            for key in keys
        ),
        tuple(_floor(column) for column in columns),
        tuple(detectable(column.values()) for column in columns),
        _fallen(scores, runs, spec),
    )


def _fallen(
    scores: pandas.DataFrame, runs: pandas.DataFrame, spec: TableSpec[Any]
) -> dict[tuple[str, str], dict[str, Difference]]:
    found: dict[tuple[str, str], dict[str, Difference]] = {}
    models = in_order(runs, ["model"])
    for column, (model,) in itertools.product(spec.columns, models):
        baseline = spec.baseline_of(column.task, model)
        parents = runs.loc[runs["method"] == baseline, "parent"].dropna().unique()
        if not len(parents):
            continue
        (parent,) = parents
        rows = of_column(scores, column)
        own = rows[(rows["model"] == model) & (rows["decoding"] == "direct")]
        after, before = (
            cell_values(own[own["method"] == method], column.metric)
            for method in (baseline, parent)
        )
        if not after or not before:
            continue
        names = (column.task, column.split, column.metric, model, baseline)
        difference = paired_difference(after, before, spec.confidence, names)
        if difference.sign < 0:
            where = f"{column.title} ({model})" if len(models) > 1 else column.title
            found.setdefault((baseline, parent), {})[where] = difference
    return found


def with_holm(scores: Mapping[Any, MaybeScore]) -> dict[Any, MaybeScore]:
    """Scores with Holm's correction over their primary differences."""
    tested: dict[Any, float] = {
        key: score.difference.p
        for key, score in scores.items()
        if score and score.primary and score.difference and score.difference.over_seeds
    }
    adjusted = dict(zip(tested, holm([*tested.values()]), strict=True))
    return {
        key: replace(score, holm=adjusted.get(key)) if score else score
        for key, score in scores.items()
    }


def _check_columns(scores: pandas.DataFrame, spec: TableSpec[Any]) -> None:
    allowed = [name for name in measures(scores) if name not in SHAPE]
    for index, column in enumerate(spec.columns):
        if column.metric not in allowed:
            raise UserError(
                f"columns[{index}].metric: found {column.metric!r}, allowed are "
                f"{', '.join(allowed)}"
            )


def _keys(scores: pandas.DataFrame) -> list[Key]:
    """The rows, ordered as in the frame, a method's decodings side by side."""
    keys: list[Key] = in_order(scores, ["model", "method", "decoding"])
    models, methods = ([*dict.fromkeys(key[i] for key in keys)] for i in (0, 1))
    return sorted(
        keys,
        key=lambda key: (
            key[0] != NO_MODEL,
            models.index(key[0]),
            methods.index(key[1]),
            key[2] != "direct",
        ),
    )


def _column(
    scores: pandas.DataFrame, keys: list[Key], column: Column, spec: TableSpec[Any]
) -> dict[Key, Score | None]:
    rows = of_column(scores, column).groupby(["model", "method", "decoding"])
    values = {key: cell_values(frame, column.metric) for key, frame in rows}
    names = (column.task, column.split, column.metric)
    means = {
        key: mean_interval(values[key], spec.confidence, (*names, *key))
        if values.get(key)
        else None
        for key in keys
    }
    column_scores: dict[Key, Score | None] = dict.fromkeys(keys)
    for key, mean in means.items():
        if mean:
            other = (key[0], spec.baseline_of(column.task, key[0]), "direct")
            compared = key != other and values.get(other)
            column_scores[key] = Score(
                mean,
                paired_difference(
                    values[key], values[other], spec.confidence, (*names, *key)
                )
                if compared
                else None,
                primary=column.primary and key[1] in spec.primary,
                best=key in _best(means, key[0]),
            )
    return column_scores


def _best(means: Mapping[Key, Interval | None], model: str) -> set[Key]:
    """The methods of one model with the highest mean, as far as the table shows it.

    Empty where all are equal, or where no model answered.
    """
    if model == NO_MODEL:
        return set()
    shown = {
        key: round(mean.value, 3)
        for key, mean in means.items()
        if mean and key[0] == model
    }
    if len(set(shown.values())) < 2:
        return set()
    return {key for key, value in shown.items() if value == max(shown.values())}


def _costs(runs: pandas.DataFrame, key: Key) -> dict[str, tuple[float, ...]]:
    own = runs[(runs["model"] == key[0]) & (runs["method"] == key[1])]
    means = own.groupby("task")[list(COSTS)].mean()
    return {task: tuple(map(float, costs)) for task, *costs in means.itertuples()}


def _floor(column: Mapping[Key, Score | None]) -> bool:
    means = [
        score.mean.value
        for key, score in column.items()
        if score and key[0] != NO_MODEL
    ]
    return bool(means) and max(means) < FLOOR


def detectable(scores: Iterable[Score | None]) -> float | None:
    """The smallest difference that the median of some comparisons finds with 80 % power;
    None without one that can be tested."""
    found = [
        score.difference.detectable
        for score in scores
        if score and score.difference and score.difference.detectable
    ]
    return statistics.median(found) if found else None


def family_note(scores: Iterable[Score | None], which: str) -> str:
    """What two marks mean in a table of some scores; ``which`` are primary, in words."""
    compared = [score for score in scores if score and score.difference]
    family = sum(score.holm is not None for score in compared)
    if not family and any(score.primary for score in compared):
        return (
            "No mark is doubled, since fewer than three seeds do not say what others would"
            f" show, and none is corrected for the {len(compared)} comparisons."
        )
    if not family:
        return (
            "All comparisons are exploratory: one mark at most, not corrected for their"
            f" number, {len(compared)}."
        )
    note = (
        f"Doubled: it also survives Holm's correction over the {family} primary"
        f" comparisons, which the configuration names: {which}."
    )
    if family < len(compared):
        note += (
            " All others are exploratory: one mark at most, not corrected for how many"
            " there are."
        )
    return note

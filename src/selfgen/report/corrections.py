"""What a second turn does to answers, as a table: the same for all kinds of runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from selfgen.evaluation import metrics
from selfgen.evaluation.correction import Turns, turns
from selfgen.evaluation.statistics import Bootstrap, Interval, mean_interval
from selfgen.report.collect import NO_MODEL, cell_values
from selfgen.report.grid import NOT_RUN, Entry, Grid
from selfgen.report.spec import TablesSpec

if TYPE_CHECKING:
    import pandas

COLUMNS = {
    "first": "Turn 1",
    "second": "Turn 2",
    "gain": "Gain",
    "improved": "Improved",
    "worsened": "Worsened",
    "fixed": "Fixed, of the wrong",
    "broken": "Broken, of the right",
    "edited": "Edited",
}

Row = tuple[Sequence[str], Turns, Interval | None]
"""The words of a row, the two turns, and the share of answers that were edited."""


def corrected(scores: pandas.DataFrame, spec: TablesSpec) -> Iterator[Row]:
    """Every corrected cell of a run beside its direct one, by the metric of its column."""
    how = Bootstrap(spec.bootstrap_samples, spec.confidence, spec.seed)
    many = scores.loc[scores["model"] != NO_MODEL, "model"].nunique() > 1
    for column in spec.columns:
        own = scores[
            (scores["task"] == column.task) & (scores["split"] == column.split)
        ]
        second = own[own["decoding"] == "corrected"]
        for (model, method), after in second.groupby(["model", "method"], sort=False):
            before = own[
                (own["decoding"] == "direct")
                & (own["model"] == model)
                & (own["method"] == method)
            ]
            if before.empty:
                continue
            names = [column.title, *([model] if many else []), spec.labels[method]]
            values = (cell_values(part, column.metric) for part in (before, after))
            graded = not metrics.right_or_wrong(column.metric)
            edits = cell_values(after, "edited")
            yield (
                names,
                turns(*values, how, names, graded=graded),
                mean_interval(edits, how, names) if edits else None,
            )


def table(rows: Sequence[Row], titles: Sequence[str], confidence: float) -> Grid:
    """The rows in percent; ``titles`` are those of their words."""
    return Grid(
        name="corrections",
        title="Two turns: the answer, and the answer to the correction turn, in percent.",
        header=[*map(Entry, titles), *map(Entry, COLUMNS.values())],
        rows=[
            [
                *map(Entry, names),
                *(
                    _entry(edited if name == "edited" else getattr(made, name))
                    for name in COLUMNS
                ),
            ]
            for names, made, edited in rows
        ],
        notes=(
            f"Brackets: {100 * confidence:g}% interval over seeds and items.",
            "Improved, worsened: share of all answers whose score the second turn raises,"
            " lowers. Fixed: of the wrong answers those that it makes right; broken: of the"
            " right ones those that it makes wrong (scores of right and wrong only)."
            " Edited: second answers that differ from the first.",
        ),
        left=len(titles),
    )


def _entry(value: Any) -> Entry:
    if value is None:
        return Entry(NOT_RUN)
    low, high = (f"{100 * x:.1f}" for x in (value.low, value.high))
    return Entry(f"{100 * value.value:.1f}", below=f"[{low}, {high}]")

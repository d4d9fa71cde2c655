"""The main table as Markdown, LaTeX and CSV."""

from __future__ import annotations

from typing import Any

from selfgen.report import grid
from selfgen.report.collect import NO_MODEL, SHARED, SHARED_NOTE, label
from selfgen.report.details import title
from selfgen.report.grid import NOT_RUN, Entry, Grid
from selfgen.report.measure import COSTS, Row, Score, Table, main_table
from selfgen.report.spec import TablesSpec

__all__ = ["CSV", "Table", "main_table", "to_csv", "to_latex", "to_markdown"]

CSV = (
    *("task", "split", "shared_templates", "metric", "model", "method", "decoding"),
    *("n", "seeds"),
    *("mean", "low", "high", "difference", "difference_low", "difference_high"),
    *("p", "holm", *COSTS),
)


def to_markdown(table: Table) -> str:
    """The table in percent as GitHub Markdown."""
    return grid.to_markdown(_grid(table))


def to_latex(table: Table) -> str:
    """The table in percent as a LaTeX ``table`` environment (booktabs)."""
    return grid.to_latex(_grid(table))


def to_csv(table: Table) -> str:
    """One line a cell, columns of ``CSV``; scores are shares of 1, costs are per task.

    A cell that was not run has ``n`` 0 and no numbers.
    """
    lines = []
    for row in table.rows:
        for column, score in zip(table.spec.columns, row.scores, strict=True):
            lines.append(
                [
                    *(column.task, column.split, int(column.shared_templates)),
                    column.metric,
                    *(row.model, row.method, row.decoding),
                    *_csv_score(score),
                    *map(_whole, row.costs.get(column.task, (None,) * len(COSTS))),
                ]
            )
    return grid.to_csv(CSV, lines)


def _csv_score(score: Score | None) -> list[Any]:
    if score is None:
        return [0, 0, *[None] * 8]
    mean, difference = score.mean, score.difference
    compared = [None] * 5
    if difference:
        compared = [difference.value, difference.low, difference.high]
        compared += [difference.p, score.holm]
    return [mean.n, mean.seeds, mean.value, mean.low, mean.high, *compared]


def _grid(table: Table) -> Grid:
    many = len({row.model for row in table.rows} - {NO_MODEL}) > 1
    words = [Entry("Model")] if many else []
    header = [
        *words,
        Entry("Method"),
        *(_header(table, i) for i in range(len(table.spec.columns))),
        Entry("Seeds"),
        Entry("Steps"),
        Entry("Labelled tokens", below="thousands"),
        Entry("Forwarded tokens", below="thousands"),
    ]
    rows = [
        [
            *([Entry(row.model)] if many else []),
            Entry(row.label),
            *(_entry(score, table.spec.confidence) for score in row.scores),
            Entry(str(row.seeds) if row.seeds else NOT_RUN),
            *_cost_entries(row),
        ]
        for row in table.rows
    ]
    breaks = [
        i for i in range(1, len(rows)) if table.rows[i].model != table.rows[i - 1].model
    ]
    return Grid(
        name="main",
        title=f"Scores in percent with {_confidence(table.spec)} intervals "
        f"(scale: {table.spec.scale}).",
        header=header,
        rows=rows,
        notes=_notes(table),
        left=1 + many,
        rules=frozenset(breaks),
    )


def _header(table: Table, index: int) -> Entry:
    column = table.spec.columns[index]
    floor = ", floor" if table.floors[index] else ""
    return Entry(
        column.title,
        mark=SHARED if column.shared_templates else "",
        below=f"n = {table.size(index)}{floor}",
    )


def _entry(score: Score | None, confidence: float) -> Entry:
    if score is None:
        return Entry(NOT_RUN)
    mark = ""
    if score.difference and score.difference.sign:
        mark = "▲" if score.difference.sign > 0 else "▼"
        mark *= 2 if score.holm < 1 - confidence else 1
    mean = score.mean
    return Entry(
        _percent(mean.value),
        mark=mark,
        below=f"[{_percent(mean.low)}, {_percent(mean.high)}]",
        bold=score.best,
    )


def _cost_entries(row: Row) -> list[Entry]:
    if not row.costs:
        return [Entry(NOT_RUN)] * len(COSTS)
    steps, *tokens = (sum(values) for values in zip(*row.costs.values(), strict=True))
    return [Entry(f"{steps:.0f}"), *(Entry(f"{n / 1000:.1f}") for n in tokens)]


def _notes(table: Table) -> list[str]:
    spec = table.spec
    baseline = label(spec.labels, spec.baseline, "direct")
    counts = {row.seeds for row in table.rows if row.seeds}
    if counts == {1}:
        scope = "a bootstrap over items; one seed, so they cover items only"
    else:
        scope = "a bootstrap over seeds and items, crossed"
        scope += "; a row with one seed covers items only" if 1 in counts else ""
    measures = [
        f"{title(metric)}: "
        + "; ".join(c.title for c in spec.columns if c.metric == metric)
        for metric in dict.fromkeys(column.metric for column in spec.columns)
    ]
    notes = [
        f"{'. '.join(measures)}.",
        f"Brackets: {_confidence(spec)} interval, {scope}.",
    ]
    if table.tests:
        notes += [
            f"▲ (▼): better (worse) than {baseline}: the {_confidence(spec)} interval "
            "of the paired difference excludes 0. Doubled: it also survives Holm's "
            f"correction over the table's {table.tests} comparisons. No mark: no "
            "difference shown. Bold: best of the model's methods.",
            f"Smallest difference to {baseline} that is found with 80% power, in "
            f"points: {_detectables(table)}.",
        ]
    # The smallest p-value that a bootstrap can give is 2 / (samples + 1).
    if 2 * table.tests / (spec.bootstrap_samples + 1) >= 1 - spec.confidence:
        notes.append(
            f"{spec.bootstrap_samples} bootstrap samples are too few for any of "
            f"{table.tests} comparisons to survive Holm's correction."
        )
    if any(table.floors):
        notes.append("Floor: every method is under 10%; read no ranking from it.")
    if any(column.shared_templates for column in spec.columns):
        notes.append(SHARED_NOTE)
    notes.append(
        "Steps and tokens: the method's own stage of training without its parent's, "
        "summed over tasks, mean of the seeds."
    )
    if any(score is None for row in table.rows for score in row.scores):
        notes.append(f"{NOT_RUN}: not run, or does not apply.")
    return notes


def _detectables(table: Table) -> str:
    return ", ".join(
        f"{column.title} {_percent(value)}"
        for column, value in zip(table.spec.columns, table.detectable, strict=True)
        if value is not None
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _confidence(spec: TablesSpec) -> str:
    return f"{100 * spec.confidence:g}%"


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)

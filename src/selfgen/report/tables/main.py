"""The main table: every method's score on every task, its intervals and its costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from selfgen.report import dose
from selfgen.report.collect import SHARED, SHARED_NOTE, several
from selfgen.report.grid import (
    NOT_RUN,
    Box,
    Entry,
    Grid,
    bracketed,
    numbers,
    scope_notes,
)
from selfgen.report.measure import COSTS, Line, Numbers, Score, family_note, main_table
from selfgen.report.registry import Drawn, Table, frame, score_frame
from selfgen.report.spec import TableSpec
from selfgen.report.tables.details import title as title_of

if TYPE_CHECKING:
    import pandas

CSV = (
    *("task", "split", "shared_templates", "metric", "model", "method", "decoding"),
    *("n", "seeds"),
    *("mean", "low", "high", "difference", "difference_low", "difference_high"),
    *("p", "primary", "holm", *COSTS, *dose.SHARES),
)


def draw(
    scores: pandas.DataFrame, runs: pandas.DataFrame, spec: TableSpec[Any]
) -> Drawn:
    """Score of every method on every task, with its interval, and the difference to the
    baseline, which the notes name. It does not show why a method differs.

    As CSV one line a cell: scores are shares of 1, costs are per task, and a cell that was
    not run has ``n`` 0 and no numbers."""
    table = main_table(scores, runs, spec)
    lines = [
        [
            *(column.task, column.split, int(column.shared_templates)),
            column.metric,
            *(line.model, line.method, line.decoding),
            *_csv_score(score),
            *map(_whole, line.costs.get(column.task, (None,) * len(COSTS))),
            *line.doses.get(column.task, (None, None)),
        ]
        for line in table.rows
        for column, score in zip(spec.columns, line.scores, strict=True)
    ]
    return Drawn([_grid(table)], CSV, lines)


def _csv_score(score: Score | None) -> list[Any]:
    if score is None:
        return [0, 0, *[None] * 9]
    mean, difference = score.mean, score.difference
    tested: list[Any] = [None] * 3
    if difference:
        tested = [difference.p, int(score.primary), score.holm]
    return [mean.n, mean.seeds, *numbers(mean), *numbers(difference), *tested]


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _grid(table: Numbers) -> Grid:
    many = several(line.model for line in table.rows)
    tasks = _tasks(table)
    shown = [i for i in (0, 1) if dose.given((x.doses for x in table.rows), i)]
    header: list[Box] = [
        *["Model"] * many,
        "Method",
        *(_header(table, i) for i in table.shown),
        *(dose.header(i, tasks) for i in shown),
        *("Seeds", "Steps"),
        Entry("Labelled tokens", below="thousands"),
        Entry("Forwarded tokens", below="thousands"),
    ]
    rows = [
        [
            *[line.model] * many,
            line.label,
            *(_entry(line.scores[i], table.spec.confidence) for i in table.shown),
            *(dose.box(line.doses, i, tasks) for i in shown),
            str(line.seeds) if line.seeds else NOT_RUN,
            *_costs(line),
        ]
        for line in table.rows
    ]
    breaks = [
        i for i in range(1, len(rows)) if table.rows[i].model != table.rows[i - 1].model
    ]
    return Grid(
        name="main",
        title=f"Scores in percent with {table.spec.percent} intervals "
        f"(scale: {table.spec.scale}).",
        header=header,
        rows=rows,
        notes=_notes(table),
        left=1 + many,
        rules=frozenset(breaks),
    )


def _tasks(table: Numbers) -> list[str]:
    return list(dict.fromkeys(column.task for column in table.spec.columns))


def _header(table: Numbers, index: int) -> Entry:
    column = table.spec.columns[index]
    floor = ", floor" if table.floors[index] else ""
    return Entry(
        column.title,
        mark=SHARED if column.shared_templates else "",
        below=f"n = {table.size(index)}{floor}",
    )


def _entry(score: Score | None, confidence: float) -> Box:
    if score is None:
        return NOT_RUN
    return bracketed(score.mean, mark=score.mark(confidence), bold=score.best)


def _costs(line: Line) -> list[str]:
    if not line.costs:
        return [NOT_RUN] * len(COSTS)
    steps, *tokens = (sum(values) for values in zip(*line.costs.values(), strict=True))
    return [f"{steps:.0f}", *(f"{n / 1000:.1f}" for n in tokens)]


def _notes(table: Numbers) -> list[str]:
    spec = table.spec
    baseline = spec.baseline_label
    columns = [spec.columns[i] for i in table.shown]
    measures = [
        f"{title_of(metric)}: "
        + "; ".join(c.title for c in columns if c.metric == metric)
        for metric in dict.fromkeys(column.metric for column in columns)
    ]
    notes = [
        f"{'. '.join(measures)}.",
        f"Brackets: {spec.percent} interval over seeds and items (docs/statistics.md).",
        *scope_notes(
            score.mean
            for line in table.rows
            for i in table.shown
            if (score := line.scores[i])
        ),
    ]
    if least := ", ".join(
        f"{spec.columns[i].title} {100 * value:.1f}"
        for i in table.shown
        if (value := table.detectable[i]) is not None
    ):
        notes += [
            f"▲ (▼): better (worse) than {baseline}: the {spec.percent} interval "
            f"of the paired difference excludes 0. {_family(table)} No mark: no "
            "difference shown. Bold: best of the model's methods.",
            f"Smallest difference to {baseline} that is found with 80% power, in "
            f"points: {least}.",
        ]
    notes += spec.baseline_notes
    for (fallen, parent), where in table.fallen.items():
        notes += dose.damage(spec.labels[fallen], spec.labels[parent], where)
    notes += dose.notes(
        ((line.label, line.doses) for line in table.rows if line.decoding == "direct"),
        _tasks(table),
        baseline,
    )
    if any(table.floors[i] for i in table.shown):
        notes.append("Floor: every method is under 10%; read no ranking from it.")
    if left := [c.title for c in spec.columns if c not in columns]:
        notes.append(
            f"Left out, since every method is under 10% there: {'; '.join(left)}"
            " (main.csv)."
        )
    if any(column.shared_templates for column in columns):
        notes.append(SHARED_NOTE)
    notes.append(
        "Steps and tokens: the method's own stage of training without its parent's, "
        "summed over tasks, mean of the seeds."
    )
    if any(line.scores[i] is None for line in table.rows for i in table.shown):
        notes.append(f"{NOT_RUN}: not run, or does not apply.")
    return notes


def _family(table: Numbers) -> str:
    """What two marks mean."""
    primary = [
        (line.label, column.title)
        for line in table.rows
        for column, score in zip(table.spec.columns, line.scores, strict=True)
        if score and score.holm is not None
    ]
    rows, columns = (dict.fromkeys(pair[i] for pair in primary) for i in (0, 1))
    return family_note(
        (score for line in table.rows for score in line.scores),
        f"{'; '.join(rows)} on {'; '.join(columns)}",
    )


TABLE = Table(draw, {"scores": score_frame, "runs": frame})

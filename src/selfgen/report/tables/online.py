"""Offline against online drawing of own tokens: what each gives, and what each costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from selfgen.report.collect import several
from selfgen.report.grid import NOT_RUN, Box, Grid, bracketed, numbers, scope_notes
from selfgen.report.measure import Score, main_table
from selfgen.report.registry import (
    Drawn,
    Rows,
    Table,
    by_method,
    frame,
    rows,
    score_frame,
)
from selfgen.report.spec import Column, TableSpec
from selfgen.report.tables.cost import seconds
from selfgen.report.tables.details import title
from selfgen.report.tables.steps import compared

if TYPE_CHECKING:
    import pandas

STAGES = ("pass", "train")
CSV = (
    *("task", "split", "model", "method", "metric", "n", "seeds"),
    *(
        f"{name}{end}"
        for name in ("score", "excess")
        for side in ("", "_difference")
        for end in (side, f"{side}_low", f"{side}_high")
    ),
    *(f"{stage}_seconds" for stage in STAGES),
    *("generated_tokens", "changed_share"),
)


@dataclass(frozen=True)
class Online:
    """The methods that are compared: those that draw online, their offline counterparts, and
    what both are compared with."""

    methods: tuple[str, ...]


@dataclass(frozen=True)
class Line:
    """One method on one column: means over seeds; None where it has no such thing."""

    column: Column
    model: str
    method: str
    score: Score
    excess: Score | None
    seconds: tuple[float | None, ...]
    generated: float
    changed: float | None


def draw(
    scores: pandas.DataFrame,
    runs: pandas.DataFrame,
    timings: pandas.DataFrame,
    errors: Sequence[Rows],
    spec: TableSpec[Online],
) -> Drawn:
    """Methods that draw own tokens before training beside those that draw while they train:
    final score, excess error, seconds, and tokens generated. The counterpart of the paper's
    appendix A.3, whose numbers are not known to us."""
    lines = [*_lines(scores, runs, timings, errors, spec)]
    return Drawn([_grid(lines, spec)], CSV, [[*_csv(line)] for line in lines])


def _lines(
    scores: pandas.DataFrame,
    runs: pandas.DataFrame,
    timings: pandas.DataFrame,
    errors: Sequence[Rows],
    spec: TableSpec[Online],
) -> Iterator[Line]:
    steps = compared(by_method(spec, errors), spec) if errors else {}
    table = main_table(scores, runs, spec)
    for i, column in enumerate(spec.columns):
        for line in table.rows:
            score = line.scores[i]
            shown = line.method in spec.own.methods and line.decoding == "direct"
            if not shown or score is None:
                continue
            key = (column.task, line.model, line.method)
            own = runs[(runs[["task", "model", "method"]] == key).all(axis=1)]
            spent = timings[(timings[["task", "model", "method"]] == key).all(axis=1)]
            yield Line(
                *(column, line.model, line.method, score),
                steps.get((key, "excess")),
                tuple(seconds(spent[spent["stage"] == stage]) for stage in STAGES),
                float(own["generated_tokens"].mean()),
                line.doses.get(column.task, (None, None))[0],
            )


def _grid(lines: Sequence[Line], spec: TableSpec[Online]) -> Grid:
    many = several(line.model for line in lines)
    checked = any(line.excess for line in lines)
    shown: list[list[Box]] = []
    for line in lines:
        excess: list[Box] = []
        if checked and line.excess:
            excess = [bracketed(line.excess.mean, sign="+")]
            excess.append(bracketed(line.excess.difference, sign="+"))
        elif checked:
            excess = [NOT_RUN, NOT_RUN]
        shown.append(
            [
                *(line.column.title, *[line.model] * many, spec.labels[line.method]),
                bracketed(line.score.mean),
                bracketed(line.score.difference, sign="+"),
                *excess,
                *(NOT_RUN if x is None else f"{x:.0f}" for x in line.seconds),
                f"{sum(x or 0 for x in line.seconds):.0f}",
                f"{line.generated / 1000:.1f}" if line.generated else NOT_RUN,
                NOT_RUN if line.changed is None else f"{100 * line.changed:.1f}",
            ]
        )
    minus = f"minus {spec.baseline_label}"
    metrics = dict.fromkeys(title(line.column.metric) for line in lines)
    return Grid(
        name=spec.name,
        title=f"Own tokens drawn before training and while training (scale:"
        f" {spec.scale}).",
        header=[
            *("Task", *["Model"] * many, "Method", "Score", f"Score, {minus}"),
            *["Excess error", f"Excess, {minus}"] * checked,
            *("Drawing (s)", "Training (s)", "Together (s)"),
            *("Tokens generated, thousands", "Context changed, %"),
        ],
        rows=shown,
        notes=(
            f"Score: {', '.join(metrics)}, in percent. Brackets: {spec.percent} interval"
            " over seeds and items.",
            *scope_notes(line.score.mean for line in lines),
            "Excess error: the share of steps that are wrong after own steps minus that"
            " after the reference's."
            * checked
            or "No task here has steps that a checker judges.",
            "Seconds: median of the seeds on the machine of this run. Context changed: at the"
            " model's state when the tokens were drawn.",
            *spec.baseline_notes,
        ),
        left=2 + many,
    )


def _csv(line: Line) -> Iterator[Any]:
    yield from (line.column.task, line.column.split, line.model, line.method)
    yield from (line.column.metric, line.score.mean.n, line.score.mean.seeds)
    for score in (line.score, line.excess):
        yield from numbers(score.mean if score else None)
        yield from numbers(score.difference if score else None)
    yield from (*line.seconds, line.generated, line.changed)


TABLE = Table(
    draw,
    {"scores": score_frame, "runs": frame, "timings": frame, "errors": rows},
    own=Online,
)

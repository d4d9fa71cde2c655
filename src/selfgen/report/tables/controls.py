"""Methods that differ in one thing, held against each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from selfgen.evaluation.statistics import Difference, paired_difference
from selfgen.report.collect import cell_values, in_order, of_column, several
from selfgen.report.grid import Box, Grid, bracketed, numbers, scope_notes
from selfgen.report.measure import Score, family_note
from selfgen.report.registry import (
    Drawn,
    Rows,
    Table,
    by_method,
    rows,
    score_frame,
)
from selfgen.report.spec import Column, TableSpec
from selfgen.report.tables.details import title
from selfgen.report.tables.steps import MEASURES, by_measure

if TYPE_CHECKING:
    import pandas

CSV = (
    *("task", "split", "model", "method", "minus", "metric", "n", "seeds"),
    *(f"{name}{end}" for name in ("score", *MEASURES) for end in ("", "_low", "_high")),
)
TITLES = {"free": "After own", "forced": "After reference", "excess": "Excess"}


@dataclass(frozen=True)
class Controls:
    """Pairs of methods; the first minus the second is shown."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Line:
    """The paired differences of two methods on one column, as shares of 1: in score, and in
    the errors of checked steps by name, none where no checker judges."""

    column: Column
    model: str
    pair: tuple[str, str]
    score: Difference
    errors: dict[str, Difference]


def draw(
    scores: pandas.DataFrame, errors: Sequence[Rows], spec: TableSpec[Controls]
) -> Drawn:
    """Direct comparisons of methods that differ in one thing: with plain fine-tuning from
    the same weights over the same steps, with other tokens at the same places, and with BASH
    but for one knob."""
    lines = [*_lines(scores, errors, spec)]
    return Drawn([_grid(lines, spec)], CSV, [[*_csv(line)] for line in lines])


def _lines(
    scores: pandas.DataFrame, errors: Sequence[Rows], spec: TableSpec[Controls]
) -> Iterator[Line]:
    known = by_method(spec, errors) if errors else {}
    judged = {key: by_measure(by_seed) for key, by_seed in known.items()}
    for column in spec.columns:
        direct = scores[scores["decoding"] == "direct"]
        own = of_column(direct, column)
        for (model,) in in_order(own, ["model"]):
            for pair in spec.own.pairs:
                cells = [
                    (own["model"] == model) & (own["method"] == one) for one in pair
                ]
                a, b = (cell_values(own[cell], column.metric) for cell in cells)
                if not a or not b:
                    continue
                names = (column.task, column.split, model, *pair)
                first, second = (judged.get((column.task, model, one)) for one in pair)
                found = {
                    name: paired_difference(
                        first[name], second[name], spec.confidence, (*names, name)
                    )
                    for name in MEASURES
                    if first and second
                }
                score = paired_difference(a, b, spec.confidence, names)
                yield Line(column, model, pair, score, found)


def _grid(lines: Sequence[Line], spec: TableSpec[Controls]) -> Grid:
    many = several(line.model for line in lines)
    checked = any(line.errors for line in lines)
    shown: list[list[Box]] = []
    cells = []
    for line in lines:
        found = [(line.score, 1)]
        found += [(line.errors[name], -1) for name in MEASURES if line.errors]
        cells += [Score(one, one) for one, _ in found]
        boxes = [
            bracketed(one, sign="+", mark=Score(one, one).mark(spec.confidence, better))
            for one, better in found
        ]
        empty = [bracketed(None)] * (len(MEASURES) * (checked and not line.errors))
        names = [spec.labels[one] for one in line.pair]
        shown.append([line.column.title, *[line.model] * many, *names, *boxes, *empty])
    metrics = dict.fromkeys(title(line.column.metric) for line in lines)
    return Grid(
        name=spec.name,
        title=f"Methods that differ in one thing, in points (scale: {spec.scale}).",
        header=[
            *("Task", *["Model"] * many, "Method", "Minus", "Score"),
            *[*TITLES.values()] * checked,
        ],
        rows=shown,
        notes=(
            f"Score: {', '.join(metrics)}. Brackets: {spec.percent} interval of the paired"
            " difference over seeds and items.",
            *scope_notes(line.score for line in lines),
            "After own, after reference, excess: errors of steps, as in the table steps."
            * checked
            or "No task here has steps that a checker judges.",
            "▲ (▼): the first method is better (worse), the interval excludes 0."
            f" {family_note(cells, '')} No mark: no difference shown.",
            "Each method at the learning rate that was chosen for it, where rates are.",
        ),
        left=3 + many,
    )


def _csv(line: Line) -> Iterator[Any]:
    yield from (line.column.task, line.column.split, line.model, *line.pair)
    yield from (line.column.metric, line.score.n, line.score.seeds)
    yield from numbers(line.score)
    for name in MEASURES:
        yield from numbers(line.errors.get(name))


TABLE = Table(draw, {"scores": score_frame, "errors": rows}, own=Controls)

"""Checked answers by their length: right ones, and excess error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selfgen.evaluation.statistics import Interval, Values, mean_interval
from selfgen.report.collect import several
from selfgen.report.grid import NOT_RUN, Box, Grid, bracketed, numbers, scope_notes
from selfgen.report.registry import Drawn, Rows, Table, by_method, rows
from selfgen.report.spec import TableSpec
from selfgen.report.tables.steps import by_measure

PARTS = 3
"""Of the answers of a task, from short to long."""

CSV = (
    *("task", "model", "method", "steps_from", "steps_to", "n", "seeds"),
    *(f"{name}{end}" for name in ("whole", "excess") for end in ("", "_low", "_high")),
)


@dataclass(frozen=True)
class Line:
    """Answers of a method whose references have ``steps`` from and to, as shares of 1."""

    key: tuple[str, ...]
    steps: tuple[int, int]
    whole: Interval
    excess: Interval


def draw(errors: Sequence[Rows], spec: TableSpec[Any]) -> Drawn:
    """Right answers and excess error by the number of steps that the reference has, on tasks
    where that differs."""
    lines = [*_lines(by_method(spec, errors), spec)]
    return Drawn([_grid(lines, spec)], CSV, [[*_csv(line)] for line in lines])


def _lines(
    found: Mapping[tuple[str, ...], Mapping[int, Rows]], spec: TableSpec[Any]
) -> Iterator[Line]:
    for key, by_seed in found.items():
        due = sorted({row["due"] for part in by_seed.values() for row in part})
        if len(due) < PARTS:
            continue
        starts = [due[len(due) * part // PARTS] for part in range(PARTS)]
        for low, after in zip(starts, [*starts[1:], due[-1] + 1], strict=True):
            own = {
                seed: [row for row in part if low <= row["due"] < after]
                for seed, part in by_seed.items()
            }
            right: Values = {
                seed: {row["id"]: float(not any(row["free"])) for row in part}
                for seed, part in own.items()
            }
            names = (*key, f"{low} steps")
            yield Line(
                *(key, (low, after - 1)),
                mean_interval(right, spec.confidence, names, share=True),
                mean_interval(
                    by_measure(own)["excess"], spec.confidence, names, share=False
                ),
            )


def _grid(lines: Sequence[Line], spec: TableSpec[Any]) -> Grid:
    many = several(line.key[1] for line in lines)
    by_key: dict[tuple[str, ...], list[Line]] = {}
    for line in lines:
        by_key.setdefault(line.key, []).append(line)
    shown: list[list[Box]] = []
    for (task, model, method), parts in by_key.items():
        boxes = [bracketed(part.whole) for part in parts]
        boxes += [bracketed(part.excess, sign="+") for part in parts]
        shown.append([task, *[model] * many, spec.labels[method], *boxes])
    spans: dict[str, dict[str, None]] = {}
    for line in lines:
        text = f"{line.steps[0]} to {line.steps[1]}"
        spans.setdefault(line.key[0], {})[text] = None
    told = "; ".join(f"{task}: {', '.join(texts)}" for task, texts in spans.items())
    sizes = ("short", "middle", "long")
    return Grid(
        name=spec.name,
        title=f"By the length of the answer, in percent (scale: {spec.scale}).",
        header=[
            *("Task", *["Model"] * many, "Method"),
            *(f"All steps right, {size}" for size in sizes),
            *(f"Excess, {size}" for size in sizes),
        ],
        rows=shown,
        notes=(
            f"Steps of the reference: {told or NOT_RUN}. Brackets: {spec.percent} interval"
            " over seeds and items.",
            *scope_notes(line.excess for line in lines),
            "Exploratory; tasks whose answers all have as many steps are not here.",
        ),
        left=2 + many,
    )


def _csv(line: Line) -> Iterator[Any]:
    yield from (*line.key, *line.steps, line.excess.n, line.excess.seeds)
    yield from (*numbers(line.whole), *numbers(line.excess))


TABLE = Table(draw, {"errors": rows})

"""Accumulated and excess accumulated error against the oracle, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from selfgen.core.rows import read_rows
from selfgen.evaluation.exposure import Errors, accumulated, excess_interval
from selfgen.evaluation.statistics import Bootstrap
from selfgen.report import grid
from selfgen.report.grid import NOT_RUN, Entry, Grid
from selfgen.report.spec import ExposureTableSpec

if TYPE_CHECKING:
    from selfgen.runtime.job import Job

CSV = (
    *("task", "model", "method", "length", "n", "seeds", "free", "gold"),
    *("acc_err", "ex_acc_err", "ex_acc_err_low", "ex_acc_err_high"),
)


def tabulate(
    errors: Sequence[Sequence[Mapping[str, Any]]], spec: ExposureTableSpec
) -> dict[str, str]:
    """``exposure.md``, ``.tex`` and ``.csv`` from the rows ``{id, free, gold}`` of each of
    ``spec.cells``. Seeds of a method are read together."""
    lines = _lines(errors, spec)
    made = _grid(lines, spec)
    return {
        "exposure.md": grid.to_markdown(made),
        "exposure.tex": grid.to_latex(made),
        "exposure.csv": grid.to_csv(CSV, lines),
    }


def _lines(
    errors: Sequence[Sequence[Mapping[str, Any]]], spec: ExposureTableSpec
) -> list[list[Any]]:
    sides: dict[tuple[str, ...], dict[str, Errors]] = {}
    for cell, rows in zip(spec.cells, errors, strict=True):
        own = sides.setdefault(
            (cell.task, cell.model, cell.method), {"free": {}, "gold": {}}
        )
        for side, values in own.items():
            values[cell.seed] = {row["id"]: row[side] for row in rows}
    how = Bootstrap(spec.bootstrap_samples, spec.confidence, spec.seed)
    lines = []
    for key, own in sides.items():
        flat = [
            [step for of in own[side].values() for step in of.values()]
            for side in ("free", "gold")
        ]
        n = len(next(iter(own["free"].values())))
        for length, sums in accumulated(*flat, spec.lengths).items():
            found = excess_interval(own["free"], own["gold"], length, how, key)
            measured = [None] * 6
            if sums is not None:
                interval = [found.value, found.low, found.high] if found else [None] * 3
                measured = [sums.free, sums.gold, sums.acc, *interval]
            lines.append([*key, length, n, len(own["free"]), *measured])
    return lines


def _grid(lines: list[list[Any]], spec: ExposureTableSpec) -> Grid:
    many = len({line[1] for line in lines}) > 1
    rows: dict[tuple[str, ...], list[Entry]] = {}
    for line in lines:
        names = [line[0], *([line[1]] if many else []), spec.labels[line[2]]]
        row = rows.setdefault(tuple(line[:3]), [Entry(name) for name in names])
        acc, excess, low, high = line[-4:]
        row.append(Entry(NOT_RUN if acc is None else f"{acc:.1f}"))
        row.append(
            Entry(NOT_RUN)
            if excess is None
            else Entry(f"{excess:+.1f}", below=f"[{low:+.1f}, {high:+.1f}]")
        )
    header = ["Task", *(["Model"] if many else []), "Method"]
    for length in spec.lengths:
        header += [f"AccErr ≤ {length}", f"ExAccErr ≤ {length}, %"]
    n = max((line[4] for line in lines), default=0)
    return Grid(
        name="exposure",
        title=f"Exposure bias against the oracle {spec.oracle} (scale: {spec.scale}).",
        header=[Entry(title) for title in header],
        rows=list(rows.values()),
        notes=(
            f"n = {n} prompts a task. Brackets: {100 * spec.confidence:g}% interval over"
            " seeds and prompts.",
            "AccErr(l): the error of l free-running steps in units of the mean error of a"
            " step after the reference's tokens; l without exposure bias. ExAccErr: what"
            " it has more than l, in percent. The error of a step is KL(oracle || model).",
            f"{NOT_RUN}: no answer is so long, or the model is the oracle.",
        ),
        left=2 + many,
    )


def step(spec: ExposureTableSpec, job: Job) -> dict[str, Any]:
    """The table of what was measured of each cell."""
    job.write(tabulate([read_rows(path) for path in job.paths("errors")], spec))
    return {}

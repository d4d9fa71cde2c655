"""Benchmarks: the means of what they measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selfgen.benchmarks.base import Measure
from selfgen.core.errors import UserError
from selfgen.evaluation.statistics import Interval, Values, mean_interval
from selfgen.report.grid import (
    NOT_RUN,
    Box,
    Entry,
    Grid,
    bracketed,
    numbers,
    scope_notes,
)
from selfgen.report.judges import LIMIT_NOTE, doubted, other_models
from selfgen.report.registry import Drawn, Rows, Table, by_method, rows
from selfgen.report.spec import TableSpec


@dataclass(frozen=True)
class Graded:
    """A benchmark, in the words of its table; ``missing``: field and header of the number of
    rows without a grade."""

    title: str
    note: str
    measures: tuple[Measure, ...]
    missing: tuple[str, str] | None


def draw(grades: Sequence[Rows], spec: TableSpec[Graded]) -> Drawn:
    """The means of what a benchmark measures.

    From the rows of each cell: ``id`` and the fields of the measures."""
    own = spec.own
    shown, lines = [], []
    bracketed_ones: list[Interval | None] = []
    for key, by_seed in by_method(spec, grades).items():
        everything = [row for part in by_seed.values() for row in part]
        if not everything:
            raise UserError(f"{own.title} {' '.join(key)}: found no grade")
        intervals = [_interval(measure, by_seed, spec, key) for measure in own.measures]
        bracketed_ones += [
            interval
            for measure, interval in zip(own.measures, intervals, strict=True)
            if measure.interval
        ]
        sizes = [len(next(iter(by_seed.values()))), len(by_seed)]
        unparsable = 0.0
        if own.missing:
            sizes.insert(0, sum(row[own.missing[0]] is None for row in everything))
            unparsable = sizes[0] / len(everything)
        task, model, method = key
        shown.append(
            [
                *(task, model, spec.labels[method]),
                *(
                    _entry(measure, interval, unparsable)
                    for measure, interval in zip(own.measures, intervals, strict=True)
                ),
                *map(str, sizes),
            ]
        )
        values = [
            x
            for measure, mean in zip(own.measures, intervals, strict=True)
            for x in numbers(mean)[: 3 if measure.interval else 1]
        ]
        lines.append([*key, *values, *sizes])
    headers = [measure.header for measure in own.measures]
    headers += [*([own.missing[1]] if own.missing else []), "n", "Seeds"]
    made = Grid(
        name=spec.name,
        title=own.title,
        header=["Task", "Model", "Method", *headers],
        rows=shown,
        notes=[
            f"{own.note} Brackets: {spec.percent} interval over seeds and prompts.",
            *scope_notes(bracketed_ones, "prompts"),
            *([f"{own.missing[1]}: replies. {LIMIT_NOTE}"] if own.missing else []),
            *other_models(row for part in grades for row in part),
        ],
        left=3,
    )
    columns = [
        f"{measure.column}{end}"
        for measure in own.measures
        for end in (("", "_low", "_high") if measure.interval else ("",))
    ]
    counts = (*(["unparsable"] if own.missing else []), "n", "seeds")
    return Drawn([made], ("task", "model", "method", *columns, *counts), lines)


def _interval(
    measure: Measure,
    by_seed: Mapping[int, Rows],
    spec: TableSpec[Graded],
    key: tuple[str, ...],
) -> Interval | None:
    """The mean of the rows that have a value; None where a seed has none."""
    values: Values = {
        seed: {
            row["id"]: row[measure.field]
            for row in part
            if row[measure.field] is not None
            and all(row[name] == value for name, value in measure.where.items())
        }
        for seed, part in by_seed.items()
    }
    if not all(values.values()):
        return None
    names = (*key, measure.field)
    return mean_interval(values, spec.confidence, names, share=measure.unit == 100)


def _entry(measure: Measure, interval: Interval | None, unparsable: float) -> Box:
    """``measure.graded``: of what a judge said, of which a share is ``unparsable``."""
    if interval is None:
        return NOT_RUN
    if measure.interval:
        entry = bracketed(interval, measure.digits, unit=measure.unit)
    else:
        entry = Entry(f"{measure.unit * interval.value:.{measure.digits}f}")
    return doubted(entry, unparsable) if measure.graded else entry


TABLE = Table(draw, {"grades": rows}, Graded)

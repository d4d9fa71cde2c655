"""What the instrument for exposure bias found of every method (docs/measure.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selfgen.evaluation.statistics import Interval
from selfgen.measures.base import Measure, Rows, difference, interval
from selfgen.measures.lengths import reached
from selfgen.measures.registry import MEASURES
from selfgen.measures.registry import measures as all_measures
from selfgen.report.grid import NOT_RUN, Box, Entry, Grid, arrow, scope_notes
from selfgen.report.grid import numbers as ends
from selfgen.report.measured.words import shown
from selfgen.report.registry import Drawn, Table, by_method, rows
from selfgen.report.registry import Rows as Read
from selfgen.report.spec import TableSpec

SHOWN = (
    "steps_excess",
    "gap_free",
    "excess",
    "planted_own",
    "planted_own_recovered",
    "nll",
    "ece_reference",
    "self_bleu_answer",
    "ended_answer",
)
"""Measures of the table that people read; the CSV has all."""

CSV = (
    *("task", "model", "method", "group", "measure", "unit", "prompts", "seeds"),
    *("value", "low", "high", "difference", "difference_low", "difference_high"),
)

Key = tuple[str, ...]
"""Task, model and method."""


@dataclass(frozen=True)
class Number:
    """A measure of a method, and what it is above the baseline's."""

    measure: Measure
    value: Interval
    difference: Interval | None


def draw(read: Sequence[Read], spec: TableSpec[tuple[int, ...]]) -> Drawn:
    """Measures of exposure bias of every method: after own tokens beside after the
    reference's, after planted errors, how sure it is, how its answers degenerate.

    From the rows of each cell (``measures.reading``); seeds of a method are read together.
    ``spec.own``: up to one of which steps errors against the oracle are summed, of all
    methods of a task alike (``lengths.reached``).
    """
    found = {
        key: {seed: {row["id"]: row for row in part} for seed, part in seeds.items()}
        for key, seeds in by_method(spec, read).items()
    }
    numbers = {key: _numbers(key, found, spec) for key in found}
    return Drawn(
        [_grid(task, numbers, spec) for task in dict.fromkeys(key[0] for key in found)],
        CSV,
        [_line(key, number) for key, own in numbers.items() for number in own.values()],
    )


def _numbers(
    key: Key, found: Mapping[Key, Rows], spec: TableSpec[tuple[int, ...]]
) -> dict[str, Number]:
    base = (*key[:2], spec.baseline_of(key[0], key[1]))
    beside = [rows for other, rows in found.items() if other[0] == key[0]]
    numbers = {}
    for measure in all_measures(reached(beside, spec.own)):
        value = interval(measure, found[key], spec.confidence)
        if value is None:
            continue
        gap = None
        if key != base and base in found:
            gap = difference(measure, found[key], found[base], spec.confidence)
        numbers[measure.name] = Number(measure, value, gap)
    return numbers


def _grid(
    task: str,
    numbers: Mapping[Key, Mapping[str, Number]],
    spec: TableSpec[tuple[int, ...]],
) -> Grid:
    own = {key: found for key, found in numbers.items() if key[0] == task}
    by_name = {n.measure.name: n.measure for f in own.values() for n in f.values()}
    measures = [by_name[m.name] for m in MEASURES if m.name in {*SHOWN} & {*by_name}]
    several = len({key[1] for key in own}) > 1
    table: list[list[Box]] = []
    for (_, model, method), found in own.items():
        name = spec.labels[method] + (f" ({model})" if several else "")
        table.append([name, *(_box(m, found.get(m.name)) for m in measures)])
    values = [number.value for found in own.values() for number in found.values()]
    notes = [
        *scope_notes(values),
        f"{max((v.n for v in values), default=0)} prompts. All measures, and what each cannot"
        " show: docs/measure.md; all numbers: the CSV.",
        "▲ (▼): better (worse) than the baseline of the task: the interval of the paired"
        " difference excludes 0. Exploratory: not corrected for their number.",
    ]
    header = ["Method", *(f"{m.title}, {m.unit}" for m in measures)]
    title = f"Exposure bias, {task} (scale: {spec.scale})."
    return Grid(f"measures-{task}", title, header, table, notes)


def _box(measure: Measure, number: Number | None) -> Box:
    if number is None:
        return NOT_RUN
    text, _, below = shown(number.value, measure).partition(" ")
    sign = number.difference.sign if number.difference else 0
    return Entry(text, arrow(measure.better * sign, False), below)


def _line(key: Key, number: Number) -> list[Any]:
    measure, value = number.measure, number.value
    cells = [*ends(value), *ends(number.difference)]
    scaled = [None if x is None else x * measure.scale for x in cells]
    return [
        *key,
        measure.group,
        measure.name,
        measure.unit,
        value.n,
        value.seeds,
        *scaled,
    ]


TABLE = Table(draw, {"read": rows}, own=tuple[int, ...])

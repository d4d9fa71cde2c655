"""What the tables of benchmarks share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from selfgen.evaluation.statistics import Interval, Values, mean_interval
from selfgen.report.grid import Entry, Grid
from selfgen.report.measure import bootstrap
from selfgen.report.registry import Drawn, Rows
from selfgen.report.spec import TableSpec

Key = tuple[str, ...]
"""Task, model and method."""


def interval(
    by_seed: Mapping[int, Rows], field: str, spec: TableSpec[Any], key: Key
) -> Interval | None:
    """The mean of a field of rows, without those where it is None; None where a seed has no
    value."""
    values: Values = {
        seed: {row["id"]: row[field] for row in part if row[field] is not None}
        for seed, part in by_seed.items()
    }
    if not all(values.values()):
        return None
    return mean_interval(values, bootstrap(spec), (*key, field))


def drawn(
    spec: TableSpec[Any],
    title: str,
    header: Sequence[str],
    rows: Mapping[Key, Sequence[Entry]],
    note: str,
    columns: Sequence[str],
    lines: Sequence[Sequence[Any]],
) -> Drawn:
    """The table: ``rows`` under ``header``, and ``lines`` of ``columns``, both without the
    words of the key, of which ``lines`` are in the order of ``rows``."""
    made = Grid(
        name=spec.name,
        title=title,
        header=[*map(Entry, ("Task", "Model", "Method", *header))],
        rows=[
            [*map(Entry, (task, model, spec.labels[method])), *entries]
            for (task, model, method), entries in rows.items()
        ],
        notes=[f"{note} Brackets: {spec.percent} interval over seeds and prompts."],
        left=3,
    )
    keyed = [[*key, *line] for key, line in zip(rows, lines, strict=True)]
    return Drawn([made], ("task", "model", "method", *columns), keyed)

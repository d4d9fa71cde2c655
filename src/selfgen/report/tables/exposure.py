"""Accumulated and excess accumulated error against the oracle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from selfgen.evaluation.exposure import Errors, accumulated, excess_interval
from selfgen.evaluation.statistics import Interval
from selfgen.report.collect import several
from selfgen.report.grid import NOT_RUN, Box, Grid, bracketed, numbers, scope_notes
from selfgen.report.registry import Drawn, Rows, Table, by_method, rows
from selfgen.report.spec import TableSpec

CSV = (
    *("task", "model", "method", "length", "n", "seeds", "free", "gold"),
    *("acc_err", "ex_acc_err", "ex_acc_err_low", "ex_acc_err_high"),
)


@dataclass(frozen=True)
class Exposure:
    """What readers call the oracle, and up to which lengths errors are accumulated."""

    oracle: str
    lengths: tuple[int, ...]


def draw(errors: Sequence[Rows], spec: TableSpec[Exposure]) -> Drawn:
    """Accumulated errors of free-running steps against the oracle.

    From the rows ``{id, free, gold}`` of each cell; seeds of a method are read together."""
    lines: list[list[Any]] = []
    shown: dict[tuple[str, ...], list[Box]] = {}
    measured_ones: list[Interval | None] = []
    for key, by_seed in by_method(spec, errors).items():
        free, gold = (
            {
                seed: {row["id"]: row[side] for row in part}
                for seed, part in by_seed.items()
            }
            for side in ("free", "gold")
        )
        n = len(next(iter(by_seed.values())))
        shown[key] = []
        for length, sums in accumulated(
            _flat(free), _flat(gold), spec.own.lengths
        ).items():
            excess = (
                excess_interval(free, gold, length, spec.confidence, key)
                if sums
                else None
            )
            measured_ones.append(excess)
            measured = [sums.free, sums.gold, sums.acc] if sums else [None] * 3
            lines.append([*key, length, n, len(by_seed), *measured, *numbers(excess)])
            shown[key] += [
                f"{sums.acc:.1f}" if sums else NOT_RUN,
                bracketed(excess, unit=1, sign="+"),
            ]
    most = max((line[4] for line in lines), default=0)
    notes = scope_notes(measured_ones, "prompts")
    return Drawn([_grid(shown, most, notes, spec)], CSV, lines)


def _flat(errors: Errors) -> list[Any]:
    return [steps for by_id in errors.values() for steps in by_id.values()]


def _grid(
    shown: dict[tuple[str, ...], list[Box]],
    n: int,
    notes: Sequence[str],
    spec: TableSpec[Exposure],
) -> Grid:
    many = several(model for _, model, _ in shown)
    header = ["Task", *["Model"] * many, "Method"]
    for length in spec.own.lengths:
        header += [f"AccErr ≤ {length}", f"ExAccErr ≤ {length}, %"]
    return Grid(
        name=spec.name,
        title=f"Exposure bias against the oracle {spec.own.oracle} (scale: {spec.scale}).",
        header=header,
        rows=[
            [task, *[model] * many, spec.labels[method], *entries]
            for (task, model, method), entries in shown.items()
        ],
        notes=(
            f"n = {n} prompts a task. Brackets: {spec.percent} interval over"
            " seeds and prompts.",
            *notes,
            "AccErr(l): the error of l free-running steps in units of the mean error of a"
            " step after the reference's tokens; l without exposure bias. ExAccErr: what"
            " it has more than l, in percent. The error of a step is KL(oracle || model).",
            f"{NOT_RUN}: no answer is so long, or the model is the oracle.",
        ),
        left=2 + many,
    )


TABLE = Table(draw, {"errors": rows}, Exposure)

"""Accumulated errors against the oracle: of answers as they end, and of a fixed length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selfgen.evaluation.accumulated import (
    Accumulated,
    Errors,
    accumulated,
    excess_interval,
    gap_difference,
    gap_interval,
    of_length,
    paired,
)
from selfgen.evaluation.statistics import Interval
from selfgen.report.collect import several
from selfgen.report.grid import NOT_RUN, Box, Grid, bracketed, numbers, scope_notes
from selfgen.report.registry import Drawn, Rows, Table, by_method, rows
from selfgen.report.spec import TableSpec

CSV = (
    *("task", "model", "method", "answers", "length", "n", "seeds", "free", "gold"),
    *("gap", "gap_low", "gap_high", "difference", "difference_low", "difference_high"),
    *("acc_err", "ex_acc_err", "ex_acc_err_low", "ex_acc_err_high"),
)

ANSWERS = {
    "ended": "answers as they end, of each prompt the steps that the answer and its reference"
    " have",
    "fixed": "answers of exactly l tokens, which nothing ends, over the prompts whose"
    " reference has l tokens",
}

Key = tuple[str, ...]
Sides = tuple[Errors, Errors]
"""Step errors of own answers and of references."""


@dataclass(frozen=True)
class Exposure:
    """What readers call the oracle, and up to which lengths errors are accumulated."""

    oracle: str
    lengths: tuple[int, ...]


@dataclass(frozen=True)
class Line:
    """One method up to one length; None where no answer is so long."""

    n: int
    seeds: int
    sums: Accumulated | None
    gap: Interval | None
    difference: Interval | None
    excess: Interval | None


def draw(errors: Sequence[Rows], spec: TableSpec[Exposure]) -> Drawn:
    """Accumulated errors of free-running steps against the oracle.

    From the rows ``{id, free, fixed, gold}`` of each cell; seeds of a method are read
    together. Differences are to the baseline's, paired by prompt and seed."""
    found = by_method(spec, errors)
    grids, lines = [], []
    for answers, side in (("ended", "free"), ("fixed", "fixed")):
        sides = {
            key: (_side(by_seed, side), _side(by_seed, "gold"))
            for key, by_seed in found.items()
        }
        measured = {
            (key, length): _line(key, length, answers, sides, spec)
            for key in sides
            for length in spec.own.lengths
        }
        grids.append(_grid(answers, measured, spec))
        lines += [
            [
                *(*key, answers, length, line.n, line.seeds),
                *([line.sums.free, line.sums.gold] if line.sums else [None] * 2),
                *(*numbers(line.gap), *numbers(line.difference)),
                line.sums.acc if line.sums else None,
                *numbers(line.excess),
            ]
            for (key, length), line in measured.items()
        ]
    return Drawn(grids, CSV, lines)


def _side(by_seed: Mapping[int, Rows], side: str) -> Errors:
    return {
        seed: {row["id"]: row[side] for row in part} for seed, part in by_seed.items()
    }


def _line(
    key: Key,
    length: int,
    answers: str,
    sides: Mapping[Key, Sides],
    spec: TableSpec[Exposure],
) -> Line:
    def chosen(of: Key) -> Sides:
        return (
            of_length(*sides[of], length) if answers == "fixed" else paired(*sides[of])
        )

    own = chosen(key)
    seeds, n = len(own[0]), max(map(len, own[0].values()), default=0)
    sums = accumulated(_flat(own[0]), _flat(own[1]), [length])[length] if n else None
    if sums is None:
        return Line(n, seeds, None, None, None, None)
    base = (*key[:2], spec.baseline_of(key[0], key[1]))
    names = (*key, answers, str(length))
    difference = None
    if key != base and base in sides and (other := chosen(base))[0]:
        difference = gap_difference(own, other, length, spec.confidence, names)
    return Line(
        n,
        seeds,
        sums,
        gap_interval(*own, length, spec.confidence, names),
        difference,
        excess_interval(*own, length, spec.confidence, names),
    )


def _flat(errors: Errors) -> list[Any]:
    return [steps for by_id in errors.values() for steps in by_id.values()]


def _grid(
    answers: str, measured: Mapping[tuple[Key, int], Line], spec: TableSpec[Exposure]
) -> Grid:
    many = several(model for (_, model, _), _ in measured)
    rows: list[list[Box]] = [
        [
            *(task, *[model] * many, spec.labels[method], str(length), str(line.n)),
            *map(
                _nats, (line.sums.free, line.sums.gold) if line.sums else (None, None)
            ),
            bracketed(line.gap, digits=2, unit=1, sign="+"),
            bracketed(line.difference, digits=2, unit=1, sign="+"),
            _nats(line.sums.acc if line.sums else None),
            bracketed(line.excess, unit=1, sign="+"),
        ]
        for ((task, model, method), length), line in measured.items()
    ]
    baseline = spec.baseline_label
    return Grid(
        name=f"{spec.name}-{answers}",
        title=f"Exposure bias against the oracle {spec.own.oracle}, of {ANSWERS[answers]}"
        f" (scale: {spec.scale}).",
        header=[
            *("Task", *["Model"] * many, "Method", "l", "Prompts", "R", "G", "R − G"),
            *(f"minus {baseline}", "AccErr", "ExAccErr, %"),
        ],
        rows=rows,
        notes=(
            f"Brackets: {spec.percent} interval over seeds and prompts.",
            *scope_notes([line.gap for line in measured.values()], "prompts"),
            "R: the error of l steps after own tokens, in nats; G: after the reference's."
            " The error of a step is KL(oracle || model). AccErr: R in units of a step of"
            " G, l without exposure bias. ExAccErr: what it has more than l, in percent."
            f" Minus {baseline}: difference of R − G, paired by prompt and seed.",
            *spec.baseline_notes,
            f"{NOT_RUN}: no answer is so long, or there is nothing to compare.",
        ),
        left=2 + many,
    )


def _nats(value: float | None) -> str:
    return NOT_RUN if value is None else f"{value:.2f}"


TABLE = Table(draw, {"errors": rows}, Exposure)

"""AlpacaEval 2.0: raw and length-controlled win rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfgen.report.grid import NOT_RUN, Entry, bracketed, numbers
from selfgen.report.registry import Drawn, Rows, Table, by_method, rows
from selfgen.report.spec import TableSpec
from selfgen.report.tables._benchmarks import drawn, interval


@dataclass(frozen=True)
class Judged:
    """The model that judges."""

    judge: str


def draw(grades: Sequence[Rows], spec: TableSpec[Judged]) -> Drawn:
    """Win rates against the baseline's outputs, raw and length-controlled.

    From rows ``{id, won, controlled, length}`` of each cell."""
    shown, lines = {}, []
    for key, by_seed in by_method(spec, grades).items():
        everything = [row for part in by_seed.values() for row in part]
        raw, controlled = (
            interval(by_seed, field, spec, key) for field in ("won", "controlled")
        )
        unparsable = sum(row["won"] is None for row in everything)
        length = sum(row["length"] for row in everything) / len(everything)
        lines.append([*numbers(raw), *numbers(controlled), length, unparsable])
        shown[key] = [
            *(bracketed(controlled, 2), bracketed(raw, 2)),
            *map(Entry, (f"{length:.0f}", str(unparsable))),
        ]
    return drawn(
        spec,
        "AlpacaEval 2.0: wins against the baseline's outputs.",
        ("LC win rate, %", "Win rate, %", "Length, characters", "Unparsable"),
        shown,
        f"Judge: {spec.own.judge}. LC: length-controlled, as the package alpaca-eval fits"
        f" it; {NOT_RUN} without its file `df_gamed.csv`.",
        (
            *("win_rate", "low", "high", "length_controlled", "lc_low", "lc_high"),
            *("length", "unparsable"),
        ),
        lines,
    )


TABLE = Table(draw, {"grades": rows}, Judged)

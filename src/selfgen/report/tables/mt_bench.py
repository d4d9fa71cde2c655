"""MT-Bench: mean ratings by turn and category."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from selfgen.report.grid import NOT_RUN, Entry, bracketed, numbers
from selfgen.report.registry import Drawn, Rows, Table, by_method, rows
from selfgen.report.spec import TableSpec
from selfgen.report.tables._benchmarks import drawn, interval
from selfgen.report.tables.alpaca_eval import Judged


def draw(grades: Sequence[Rows], spec: TableSpec[Judged]) -> Drawn:
    """Mean ratings of the judge, by turn and category.

    From rows ``{id, category, turn, rating}`` of each cell."""
    categories = list(dict.fromkeys(row["category"] for part in grades for row in part))
    parts: list[Callable[[Mapping[str, Any]], bool]] = [
        lambda row: True,
        *(lambda row, turn=turn: row["turn"] == turn for turn in (1, 2)),
        *(lambda row, c=c: row["category"] == c for c in categories),
    ]
    shown, lines = {}, []
    for key, by_seed in by_method(spec, grades).items():
        named = {
            seed: [row | {"id": f"{row['id']}.{row['turn']}"} for row in part]
            for seed, part in by_seed.items()
        }
        mean, *others = (
            interval(
                {seed: [*filter(keep, part)] for seed, part in named.items()},
                "rating",
                spec,
                key,
            )
            for keep in parts
        )
        missing = sum(
            row["rating"] is None for part in by_seed.values() for row in part
        )
        lines.append([*numbers(mean), *(x and x.value for x in others), missing])
        shown[key] = [
            bracketed(mean, 2, unit=1),
            *(Entry(f"{x.value:.2f}" if x else NOT_RUN) for x in others),
            Entry(str(missing)),
        ]
    return drawn(
        spec,
        "MT-Bench: mean rating of the answers.",
        ("Mean", "Turn 1", "Turn 2", *map(str.capitalize, categories), "No rating"),
        shown,
        f"Judge: {spec.own.judge}, ratings of 1 to 10; replies without one are counted and"
        " left out.",
        ("mean", "low", "high", "turn_1", "turn_2", *categories, "unparsable"),
        lines,
    )


TABLE = Table(draw, {"grades": rows}, Judged)

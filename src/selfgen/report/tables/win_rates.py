"""Win rates against one opponent, with what tells how far the judge can be trusted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from selfgen.core.errors import UserError
from selfgen.core.ties import TIE
from selfgen.evaluation.statistics import (
    Difference,
    Interval,
    paired_difference,
)
from selfgen.report.collect import label, several
from selfgen.report.grid import NOT_RUN, Box, Grid, bracketed, numbers, scope_notes
from selfgen.report.judges import LIMIT_NOTE, doubted, other_models
from selfgen.report.measure import Score, family_note, with_holm
from selfgen.report.registry import Drawn, Rows, Table, by_method, rows
from selfgen.report.spec import TableSpec

CSV = (
    *("comparison", "task", "model", "method", "decoding", "n", "seeds", "win_rate"),
    *("low", "high", "p", "holm", "unparsable", "first_preferred", "consistent"),
    *("words", "opponent_words"),
)


@dataclass(frozen=True)
class WinRates:
    """A pairwise comparison, in the words of its table.

    ``comparison``: its name; ``judge`` and ``opponent`` as readers call them; ``proxy``: what
    stands in for a judge; ``coin``: whether one is tossed for replies without a winner;
    ``primary``: the rows were declared before the run as what is asked.
    """

    comparison: str
    judge: str
    opponent: str
    proxy: str
    coin: bool
    primary: bool = False


@dataclass(frozen=True)
class Line:
    """One method: its wins, with their difference to a half. Shares are 0..1; ``first``:
    how often A was preferred where a judge named one; ``consistent``: pairs with the same
    winner in both orders."""

    key: tuple[str, ...]
    wins: Score
    unparsable: float
    first: float | None
    consistent: float | None
    words: float
    opponent_words: float


def draw(judgments: Sequence[Rows], spec: TableSpec[WinRates]) -> Drawn:
    """How often the judge prefers a method's answers to the opponent's.

    From the rows of each cell, as ``judge.pairs.judged`` makes them."""
    rows = [
        _line(key, by_seed, spec)
        for key, by_seed in by_method(spec, judgments, decoding=True).items()
    ]
    wins = with_holm({line.key: line.wins for line in rows})
    rows = [replace(line, wins=wins[line.key]) for line in rows]
    lines = []
    for line in rows:
        mean, half = line.wins.mean, line.wins.difference
        lines.append(
            [
                *(spec.own.comparison, *line.key, mean.n, mean.seeds),
                *(*numbers(mean), half and half.p, line.wins.holm),
                *(line.unparsable, line.first, line.consistent),
                *(line.words, line.opponent_words),
            ]
        )
    return Drawn([_grid(rows, judgments, spec)], CSV, lines)


def _line(
    key: tuple[str, ...], by_seed: Mapping[int, Rows], spec: TableSpec[WinRates]
) -> Line:
    rows = [row for part in by_seed.values() for row in part]
    wins = {seed: _wins(part) for seed, part in by_seed.items()}
    if not any(wins.values()):
        raise UserError(f"{' '.join(key)}: found no judgment that names a winner")
    half = {seed: dict.fromkeys(items, 0.5) for seed, items in wins.items()}
    difference = paired_difference(wins, half, spec.confidence, key)
    named = [row for row in rows if row["judgment"]]
    judged = [row for row in rows if row["first"] is not None]
    return Line(
        key,
        Score(_from_half(difference), difference, spec.own.primary),
        (len(judged) - len(named)) / len(judged) if judged else 0.0,
        sum(row["judgment"] == "A" for row in named) / len(named) if named else None,
        _consistent(by_seed.values()),
        sum(row["words"] for row in rows) / len(rows),
        sum(row["opponent_words"] for row in rows) / len(rows),
    )


def _from_half(difference: Difference) -> Interval:
    """The win rate that differs so much from a half: its interval has .5 where that has 0."""
    low, high = (
        float(np.clip(0.5 + x, 0, 1)) for x in (difference.low, difference.high)
    )
    return Interval(
        *(0.5 + difference.value, low, high),
        *(difference.n, difference.seeds, difference.equal),
    )


def _wins(rows: Rows) -> Mapping[str, float]:
    """Mean of the orders that have a winner, by id."""
    wins: dict[str, list[float]] = {}
    for row in rows:
        if row["won"] is not None:
            wins.setdefault(row["id"], []).append(row["won"])
    return {name: sum(won) / len(won) for name, won in wins.items()}


def _consistent(parts: Iterable[Rows]) -> float | None:
    both = []
    for part in parts:
        orders: dict[str, list[float]] = {}
        for row in part:
            if row["judgment"]:
                orders.setdefault(row["id"], []).append(row["won"])
        both += [won[0] == won[1] for won in orders.values() if len(won) == 2]
    return sum(both) / len(both) if both else None


def _grid(
    lines: list[Line], judgments: Sequence[Rows], spec: TableSpec[WinRates]
) -> Grid:
    many = several(line.key[1] for line in lines)
    twice = any(line.consistent is not None for line in lines)
    judged = not spec.own.proxy
    shown: list[list[Box]] = []
    for line in lines:
        task, model, method, decoding = line.key
        mark = line.wins.mark(spec.confidence)
        shown.append(
            [
                *(task, *[model] * many, label(spec.labels, method, decoding)),
                doubted(bracketed(line.wins.mean, mark=mark), line.unparsable),
                *[_percent(line.unparsable), _percent(line.first)] * judged,
                *[_percent(line.consistent)] * twice,
                *(f"{line.words:.1f}", f"{line.opponent_words:.1f}"),
            ]
        )
    header = [
        *("Task", *["Model"] * many, "Method", "Win rate, %"),
        *["Unparsable, %", "First preferred, %"] * judged,
        *["Same in both orders, %"] * twice,
        *("Words", "Opponent's words"),
    ]
    return Grid(
        name=spec.name,
        title=f"Win rate against {spec.own.opponent}, decided by {spec.own.judge}.",
        header=header,
        rows=shown,
        notes=_notes(lines, judgments, spec),
        left=2 + many,
    )


def _notes(
    lines: list[Line], judgments: Sequence[Rows], spec: TableSpec[WinRates]
) -> list[str]:
    sizes = sorted({line.wins.mean.n for line in lines})
    wins = [line.wins for line in lines]
    notes = [
        f"n = {' to '.join(map(str, dict.fromkeys((sizes[0], sizes[-1]))))} prompts."
        f" Brackets: {spec.percent} interval over seeds and prompts. ▲ (▼): more (less)"
        f" than half, the interval excludes it. {family_note(wins, 'all rows')}",
        *scope_notes((score.mean for score in wins), "prompts"),
    ]
    if spec.own.proxy:
        tie = f"Scores that differ by less than {TIE:g} are a tie, half a win."
        return [*notes, f"A proxy, no judge: {spec.own.proxy} {tie}"]
    return [
        *notes,
        "Unparsable: replies that name no winner"
        + (
            "; a coin is tossed for them."
            if spec.own.coin
            else "; they count for neither side."
        )
        + f" {LIMIT_NOTE}",
        "First preferred: how often the answer shown first won; half without position bias.",
        *other_models(row for part in judgments for row in part),
    ]


def _percent(share: float | None) -> str:
    return NOT_RUN if share is None else f"{100 * share:.1f}"


TABLE = Table(draw, {"judgments": rows}, WinRates)

"""What a second turn does to answers, as a table: the same for all kinds of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from selfgen.core.names import DECODINGS, draft_of
from selfgen.evaluation import metrics
from selfgen.evaluation.correction import Turns, turns
from selfgen.evaluation.statistics import (
    Interval,
    mean_interval,
)
from selfgen.report.collect import cell_values, of_column, several
from selfgen.report.grid import Grid, bracketed, numbers, scope_notes
from selfgen.report.registry import Drawn, Table, score_frame
from selfgen.report.spec import Column, TableSpec

if TYPE_CHECKING:
    import pandas

COLUMNS = {
    "first": "Turn 1",
    "second": "Turn 2",
    "gain": "Gain",
    "improved": "Improved",
    "worsened": "Worsened",
    "fixed": "Fixed, of the wrong",
    "broken": "Broken, of the right",
    "edited": "Edited",
}

CSV = (
    *("task", "split", "metric", "model", "method", "n", "seeds"),
    *(f"{name}{end}" for name in COLUMNS for end in ("", "_low", "_high")),
)

Key = tuple[Column, str, str, str]
"""Column, model, method and decoding."""


TwoTurns = tuple[Turns, Interval | None]
"""The two turns, and the share of answers that were edited."""


def draw(scores: pandas.DataFrame, spec: TableSpec[Any]) -> Drawn:
    """Each corrected cell beside the one that it was shown: what a turn does to answers."""
    rows = corrected(scores, spec)
    many = several(scores["model"])
    words = [
        [column.title, *[model] * many, turn_name(spec.labels[method], decoding)]
        for column, model, method, decoding in rows
    ]
    titles = ["Column", *["Model"] * many, "Method"]
    lines = [
        [
            *(column.task, column.split, column.metric, model),
            turn_name(method, decoding),
            *(both[0].first.n, both[0].first.seeds),
            *(x for part in parts(both) for x in numbers(part)),
        ]
        for (column, model, method, decoding), both in rows.items()
    ]
    grid = table([*zip(words, rows.values(), strict=True)], titles, spec.percent)
    return Drawn([grid], CSV, lines)


def corrected(scores: pandas.DataFrame, spec: TableSpec[Any]) -> dict[Key, TwoTurns]:
    """The two turns of all cells that were shown another, by the metric of their column."""
    rows: dict[Key, TwoTurns] = {}
    for column in spec.columns:
        own = of_column(scores, column)
        later = own[own["decoding"] != "direct"]
        key = ["model", "method", "decoding"]
        for (model, method, decoding), after in later.groupby(key, sort=False):
            before = own[
                (own["decoding"] == draft_of(decoding))
                & (own["model"] == model)
                & (own["method"] == method)
            ]
            if before.empty:
                continue
            rows[column, model, method, decoding] = two_turns(
                before,
                after,
                column.metric,
                spec.confidence,
                (column.title, model, turn_name(spec.labels[method], decoding)),
                graded=not metrics.right_or_wrong(column.metric),
            )
    return rows


def turn_name(name: str, decoding: str) -> str:
    """A row of the first correction has the name of its method; those of further ones say
    which turns they compare."""
    second = DECODINGS.index(decoding) + 1
    return name if second == 2 else f"{name}, turns {second - 1} and {second}"


def two_turns(
    before: pandas.DataFrame,
    after: pandas.DataFrame,
    metric: str,
    confidence: float,
    names: Sequence[str],
    *,
    graded: bool = False,
) -> TwoTurns:
    """What two frames of scores show: answers, and those that were shown them."""
    first, second = (cell_values(frame, metric) for frame in (before, after))
    edits = cell_values(after, "edited")
    made = turns(first, second, confidence, names, graded=graded)
    return made, mean_interval(edits, confidence, names) if edits else None


def table(
    rows: Sequence[tuple[Sequence[str], TwoTurns]], titles: Sequence[str], percent: str
) -> Grid:
    """Rows of words and what was found, in percent; ``titles`` are those of the words."""
    return Grid(
        name="corrections",
        title="Two turns: the answer, and the answer to the correction turn, in percent.",
        header=[*titles, *COLUMNS.values()],
        rows=[[*words, *map(bracketed, parts(both))] for words, both in rows],
        notes=(
            f"Brackets: {percent} interval over seeds and items.",
            *scope_notes(part for _, both in rows for part in parts(both)),
            "Improved, worsened: share of all answers whose score the second turn raises,"
            " lowers. Fixed: of the wrong answers those that it makes right; broken: of the"
            " right ones those that it makes wrong (scores of right and wrong only)."
            " Edited: second answers that differ from the first.",
        ),
        left=len(titles),
    )


def parts(both: TwoTurns) -> list[Interval | None]:
    """In the order of ``COLUMNS``."""
    made, edited = both
    return [edited if name == "edited" else getattr(made, name) for name in COLUMNS]


TABLE = Table(draw, {"scores": score_frame})

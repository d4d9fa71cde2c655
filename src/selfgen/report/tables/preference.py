"""What a preference stage after a method does to its scores, as a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from selfgen.evaluation.statistics import (
    Bootstrap,
    Difference,
    Interval,
    Values,
    mean_interval,
    paired_difference,
)
from selfgen.report.collect import NO_MODEL, SHARED, SHARED_NOTE, cell_values
from selfgen.report.grid import Entry, Grid, bracketed, numbers
from selfgen.report.measure import bootstrap
from selfgen.report.registry import Drawn, Table, score_frame
from selfgen.report.spec import Column, TableSpec

if TYPE_CHECKING:
    import pandas

KINDS = {
    "spin": "Own: the reference over an answer of the model's own.",
    "dpo": "Graded: the best of some answers of the model's own over the worst, as the main"
    " metric grades them.",
    "pairs": "Given: answers that others have written and judged.",
}
"""What the pairs are, by the mix of the stage; the first word stands in the table."""

CSV = (
    *("task", "split", "metric", "model", "method", "preference_method", "pairs"),
    *("n", "seeds", "alone", "alone_low", "alone_high"),
    *("preferred", "preferred_low", "preferred_high"),
    *("change", "change_low", "change_high"),
    *("to_baseline", "to_baseline_low", "to_baseline_high"),
)

Key = tuple[Column, str, str]
"""Column, model and preference method."""

Found = tuple[Interval, Interval, Difference, Difference | None]
"""A method alone, with the stage after it, their difference, and that to the baseline with
the same stage after it."""


@dataclass(frozen=True)
class Preference:
    """Preference stages: the method that each comes after, and the mix that makes its pairs,
    both by its name."""

    parents: dict[str, str]
    kinds: dict[str, str]

    def baseline(self, name: str, baseline: str) -> str | None:
        """The stage of the same kind after the baseline, but not the stage itself."""
        found = [
            other
            for other, parent in self.parents.items()
            if parent == baseline and self.kinds[other] == self.kinds[name]
        ]
        return found[0] if found and name not in found else None


def draw(scores: pandas.DataFrame, spec: TableSpec[Preference]) -> Drawn:
    """From the direct answers in ``scores``."""
    rows = dict(_measured(scores, spec))
    lines = [_line(*row, spec) for row in rows.items()]
    return Drawn([_grid(rows, spec)], CSV, lines)


def _measured(
    scores: pandas.DataFrame, spec: TableSpec[Preference]
) -> Iterator[tuple[Key, Found]]:
    how = bootstrap(spec)
    direct = scores[(scores["decoding"] == "direct") & (scores["model"] != NO_MODEL)]
    for column in spec.columns:
        own = direct[
            (direct["task"] == column.task) & (direct["split"] == column.split)
        ]
        for model, cells in own.groupby("model", sort=False):
            values = {
                method: cell_values(cell, column.metric)
                for method, cell in cells.groupby("method", sort=False)
            }
            # In the order of the scores: a spec's names are sorted.
            for name in (method for method in values if method in spec.own.parents):
                key = (column, str(model), name)
                yield key, _compared(values, key, spec, how)


def _compared(
    values: dict[str, Values], key: Key, spec: TableSpec[Preference], how: Bootstrap
) -> Found:
    column, model, name = key
    names = (column.title, model, name)
    alone, after = values[spec.own.parents[name]], values[name]
    other = spec.own.baseline(name, spec.baseline)
    return (
        mean_interval(alone, how, names),
        mean_interval(after, how, names),
        paired_difference(after, alone, how, names),
        paired_difference(after, values[other], how, names) if other else None,
    )


def _grid(rows: dict[Key, Found], spec: TableSpec[Preference]) -> Grid:
    many = len({model for _, model, _ in rows}) > 1
    baseline = spec.labels[spec.baseline]
    kinds = [spec.own.kinds[name] for _, _, name in rows]
    shared = any(column.shared_templates for column in spec.columns)
    body = [
        [
            Entry(column.title, mark=SHARED if column.shared_templates else ""),
            *([Entry(model)] if many else []),
            Entry(spec.labels[spec.own.parents[name]]),
            Entry(_word(spec.own.kinds[name])),
            *map(_entry, found),
        ]
        for (column, model, name), found in rows.items()
    ]
    starts = [i for i in range(1, len(body)) if body[i][0] != body[i - 1][0]]
    titles = [
        *("Task", *["Model"] * many, "Method", "Pairs", "Alone", "+ preference"),
        *("Change", f"To {baseline} + preference"),
    ]
    return Grid(
        name=spec.name,
        title=f"A preference stage after each method, scores in percent (scale:"
        f" {spec.scale}).",
        header=[*map(Entry, titles)],
        rows=body,
        notes=[
            "The loss of DPO. " + " ".join(KINDS[k] for k in dict.fromkeys(kinds)),
            f"Brackets: {spec.percent} interval over seeds and items; those of differences"
            " are of paired ones, and not corrected for several comparisons.",
            *([SHARED_NOTE] if shared else []),
        ],
        left=3 + many,
        rules=frozenset(starts),
    )


def _word(kind: str) -> str:
    return KINDS[kind].partition(":")[0].lower()


def _entry(found: Interval | Difference | None) -> Entry:
    return bracketed(found, sign="+" if isinstance(found, Difference) else "")


def _line(key: Key, found: Found, spec: TableSpec[Preference]) -> list[Any]:
    column, model, name = key
    alone = found[0]
    return [
        *(
            column.task,
            column.split,
            column.metric,
            model,
            spec.own.parents[name],
            name,
        ),
        *(spec.own.kinds[name], alone.n, alone.seeds),
        *(x for part in found for x in numbers(part)),
    ]


TABLE = Table(draw, {"scores": score_frame}, Preference)

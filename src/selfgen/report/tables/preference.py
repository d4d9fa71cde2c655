"""What a preference stage after a method does to its scores, as a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from selfgen.evaluation.statistics import (
    Difference,
    Interval,
    mean_interval,
    paired_difference,
)
from selfgen.report.collect import (
    NO_MODEL,
    SHARED,
    SHARED_NOTE,
    cell_values,
    of_column,
    several,
)
from selfgen.report.grid import Box, Entry, Grid, bracketed, numbers, scope_notes
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


@dataclass(frozen=True)
class Preference:
    """Preference stages: the method that each comes after, and the mix that makes its pairs,
    both by its name."""

    parents: dict[str, str]
    kinds: dict[str, str]

    def baseline(self, name: str, baseline: str) -> str | None:
        """The stage of the same kind after the baseline, but not the stage itself."""
        stages = [
            other
            for other, parent in self.parents.items()
            if parent == baseline and self.kinds[other] == self.kinds[name]
        ]
        return stages[0] if stages and name not in stages else None


def draw(scores: pandas.DataFrame, spec: TableSpec[Preference]) -> Drawn:
    """Each method alone and with a preference stage after it: direct answers only."""
    compared = [*_compared(scores, spec)]
    many = several(model for _, model, *_ in compared)
    shown: list[list[Box]] = []
    lines = []
    for column, model, name, alone, others in compared:
        parent, kind = spec.own.parents[name], spec.own.kinds[name]
        shown.append(
            [
                Entry(column.title, mark=SHARED if column.shared_templates else ""),
                *[model] * many,
                spec.labels[parent],
                KINDS[kind].partition(":")[0].lower(),
                *(
                    bracketed(x, sign="+" if isinstance(x, Difference) else "")
                    for x in (alone, *others)
                ),
            ]
        )
        lines.append(
            [
                *(column.task, column.split, column.metric, model, parent, name, kind),
                *(alone.n, alone.seeds),
                *(n for x in (alone, *others) for n in numbers(x)),
            ]
        )
    kinds = dict.fromkeys(spec.own.kinds[name] for _, _, name, *_ in compared)
    shared = any(column.shared_templates for column in spec.columns)
    titles = [
        *("Task", *["Model"] * many, "Method", "Pairs", "Alone", "+ preference"),
        *("Change", f"To {spec.baseline_label} + preference"),
    ]
    made = Grid(
        name=spec.name,
        title=f"A preference stage after each method, scores in percent (scale:"
        f" {spec.scale}).",
        header=titles,
        rows=shown,
        notes=[
            "The loss of DPO. " + " ".join(KINDS[kind] for kind in kinds),
            f"Brackets: {spec.percent} interval over seeds and items; those of differences"
            " are of paired ones, exploratory, and not corrected for how many there are.",
            *scope_notes(
                x for _, _, _, alone, more in compared for x in (alone, *more)
            ),
            *spec.baseline_notes,
            *([SHARED_NOTE] if shared else []),
        ],
        left=3 + many,
        rules=frozenset(
            i for i in range(1, len(shown)) if shown[i][0] != shown[i - 1][0]
        ),
    )
    return Drawn([made], CSV, lines)


def _compared(
    scores: pandas.DataFrame, spec: TableSpec[Preference]
) -> Iterator[
    tuple[Column, str, str, Interval, tuple[Interval, Difference, Difference | None]]
]:
    """By column, model and preference method: the method alone, with the stage after it,
    their difference, and that to the baseline with the same stage after it."""
    direct = scores[(scores["decoding"] == "direct") & (scores["model"] != NO_MODEL)]
    for column in spec.columns:
        for model, cells in of_column(direct, column).groupby("model", sort=False):
            values = {
                method: cell_values(cell, column.metric)
                for method, cell in cells.groupby("method", sort=False)
            }
            # In the order of the scores: a spec's names are sorted.
            for name in (method for method in values if method in spec.own.parents):
                names = (column.title, str(model), name)
                alone, after = values[spec.own.parents[name]], values[name]
                base = spec.baseline_of(column.task, str(model))
                other = spec.own.baseline(name, base)
                others = (
                    mean_interval(after, spec.confidence, names),
                    paired_difference(after, alone, spec.confidence, names),
                    paired_difference(after, values[other], spec.confidence, names)
                    if other
                    else None,
                )
                mean = mean_interval(alone, spec.confidence, names)
                yield column, str(model), str(name), mean, others


TABLE = Table(draw, {"scores": score_frame}, Preference)

"""What a preference stage after a method does to its scores, as a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from selfgen.evaluation.statistics import (
    Bootstrap,
    Difference,
    Interval,
    Values,
    mean_interval,
    paired_difference,
)
from selfgen.report import grid
from selfgen.report.collect import NO_MODEL, SHARED, SHARED_NOTE, cell_values
from selfgen.report.grid import NOT_RUN, Entry, Grid
from selfgen.report.spec import Column, PreferredSpec

if TYPE_CHECKING:
    import pandas

    from selfgen.runtime.job import Job

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


def tabulate(scores: pandas.DataFrame, spec: PreferredSpec) -> dict[str, str]:
    """``preference.md``, ``.tex`` and ``.csv`` from the direct answers in ``scores``."""
    rows = dict(_measured(scores, spec))
    made = _grid(rows, spec)
    return {
        "preference.md": grid.to_markdown(made),
        "preference.tex": grid.to_latex(made),
        "preference.csv": grid.to_csv(CSV, [_line(*row, spec) for row in rows.items()]),
    }


def _measured(
    scores: pandas.DataFrame, spec: PreferredSpec
) -> Iterator[tuple[Key, Found]]:
    tables = spec.tables
    how = Bootstrap(tables.bootstrap_samples, tables.confidence, tables.seed)
    direct = scores[(scores["decoding"] == "direct") & (scores["model"] != NO_MODEL)]
    for column in tables.columns:
        own = direct[
            (direct["task"] == column.task) & (direct["split"] == column.split)
        ]
        for model, cells in own.groupby("model", sort=False):
            values = {
                method: cell_values(cell, column.metric)
                for method, cell in cells.groupby("method", sort=False)
            }
            # In the order of the scores: a spec's names are sorted.
            for name in (method for method in values if method in spec.parents):
                key = (column, str(model), name)
                yield key, _compared(values, key, spec, how)


def _compared(
    values: dict[str, Values], key: Key, spec: PreferredSpec, how: Bootstrap
) -> Found:
    column, model, name = key
    names = (column.title, model, name)
    alone, after = values[spec.parents[name]], values[name]
    other = spec.baseline(name)
    return (
        mean_interval(alone, how, names),
        mean_interval(after, how, names),
        paired_difference(after, alone, how, names),
        paired_difference(after, values[other], how, names) if other else None,
    )


def _grid(rows: dict[Key, Found], spec: PreferredSpec) -> Grid:
    tables = spec.tables
    many = len({model for _, model, _ in rows}) > 1
    baseline = tables.labels[tables.baseline]
    kinds = [spec.kinds[name] for _, _, name in rows]
    shared = any(column.shared_templates for column in tables.columns)
    confidence = f"{100 * tables.confidence:g}%"
    body = [
        [
            Entry(column.title, mark=SHARED if column.shared_templates else ""),
            *([Entry(model)] if many else []),
            Entry(tables.labels[spec.parents[name]]),
            Entry(_word(spec.kinds[name])),
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
        name="preference",
        title=f"A preference stage after each method, scores in percent (scale:"
        f" {tables.scale}).",
        header=[*map(Entry, titles)],
        rows=body,
        notes=[
            "The loss of DPO. " + " ".join(KINDS[k] for k in dict.fromkeys(kinds)),
            f"Brackets: {confidence} interval over seeds and items; those of differences"
            " are of paired ones, and not corrected for several comparisons.",
            *([SHARED_NOTE] if shared else []),
        ],
        left=3 + many,
        rules=frozenset(starts),
    )


def _word(kind: str) -> str:
    return KINDS[kind].partition(":")[0].lower()


def _entry(found: Interval | Difference | None) -> Entry:
    if found is None:
        return Entry(NOT_RUN)
    sign = "+" if isinstance(found, Difference) else ""
    value, low, high = (
        f"{100 * x:{sign}.1f}" for x in (found.value, found.low, found.high)
    )
    return Entry(value, below=f"[{low}, {high}]")


def _line(key: Key, found: Found, spec: PreferredSpec) -> list[Any]:
    column, model, name = key
    alone = found[0]
    numbers = [
        x
        for part in found
        for x in ((part.value, part.low, part.high) if part else [None] * 3)
    ]
    return [
        *(column.task, column.split, column.metric, model, spec.parents[name], name),
        *(spec.kinds[name], alone.n, alone.seeds, *numbers),
    ]


def step(spec: PreferredSpec, job: Job) -> dict[str, Any]:
    """The table of collected scores."""
    import pandas as pd

    job.write(tabulate(pd.read_parquet(job.input("scores")), spec))
    return {}

"""Every measure of every cell: all graders, length, repetition and how answers end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from selfgen.evaluation import metrics
from selfgen.evaluation.text import SHAPE
from selfgen.report.collect import (
    NO_MODEL,
    SHARED,
    SHARED_NOTE,
    in_order,
    label,
    measures,
    several,
    shares_templates,
)
from selfgen.report.grid import NOT_RUN, Grid
from selfgen.report.registry import Drawn, Table, score_frame
from selfgen.report.spec import TableSpec

if TYPE_CHECKING:
    import pandas

CELL = ("task", "split", "model", "method", "decoding")
KEYS = (*CELL, "shared_templates", "n", "seeds")
LENGTHS = ("tokens", "words", "reference_words")
NOTES = (
    "Means over seeds and items; scores, repeated 3-grams and ended in percent.",
    "Ended: answers that reached EOS before the token limit. Tokens count EOS. Edited: "
    "corrected answers that differ from the direct one.",
)


def draw(scores: pandas.DataFrame, spec: TableSpec[Any]) -> Drawn:
    """All measures of every cell: its metrics, length, repetition, and how many answers
    ended by themselves.

    One table a task and split; as CSV one, where a measure that does not apply is empty.
    Rows and measures keep the order of ``scores``; shares are of 1.
    """
    groups = scores.groupby(list(CELL), sort=False)
    means = groups[measures(scores)].mean()
    means.insert(0, "n", groups["id"].nunique())
    means.insert(1, "seeds", groups["seed"].nunique())
    means = means.reset_index()
    splits = zip(means["task"], means["split"], strict=True)
    shared = [int(shares_templates(spec, *split)) for split in splits]
    columns = [*KEYS, *measures(scores)]
    lines = [
        [None if value != value else value for value in row]
        for row in means.assign(shared_templates=shared)[columns].itertuples(
            index=False
        )
    ]
    return Drawn(_grids(means, measures(scores), spec), columns, lines)


def title(measure: str) -> str:
    """What tables call a measure."""
    return SHAPE.get(measure) or metrics.title(measure)


def _grids(
    frame: pandas.DataFrame, names: list[str], spec: TableSpec[Any]
) -> list[Grid]:
    parts = []
    for task, split in in_order(frame, ["task", "split"]):
        rows = frame[(frame["task"] == task) & (frame["split"] == split)]
        many = several(rows["model"])
        shown = [name for name in names if rows[name].notna().any()]
        shared = shares_templates(spec, task, split)
        header = ["Model"] * many + ["Method"] + [title(name) for name in shown]
        parts.append(
            Grid(
                name=f"details-{task}-{split}",
                title=f"Details of {task}, {split.replace('_', ' ')}{SHARED * shared}.",
                header=[*header, "n", "Seeds"],
                rows=[
                    [
                        *[row["model"]] * many,
                        label(spec.labels, row["method"], row["decoding"]),
                        *(_text(name, row[name]) for name in shown),
                        str(row["n"]),
                        NOT_RUN if row["model"] == NO_MODEL else str(row["seeds"]),
                    ]
                    for row in rows.to_dict("records")
                ],
                notes=(*NOTES, SHARED_NOTE) if shared else NOTES,
                left=1 + many,
            )
        )
    return parts


def _text(name: str, value: float) -> str:
    if value != value:
        return NOT_RUN
    return f"{value if name in LENGTHS else 100 * value:.1f}"


TABLE = Table(draw, {"scores": score_frame})

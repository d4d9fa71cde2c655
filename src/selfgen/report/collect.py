"""The one frame of per-example scores that every rendering reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from selfgen.core.names import row_name
from selfgen.evaluation.statistics import Values
from selfgen.evaluation.text import SHAPE
from selfgen.report.spec import Column, TableSpec

if TYPE_CHECKING:
    import pandas

CELL = ("task", "split", "model", "method", "decoding", "seed")
SHARED = "†"
SHARED_NOTE = (
    f"{SHARED}: made by the rule or template that training problems are made by, with "
    "other words, names or numbers."
)
NO_MODEL = "-"
"""The model of a row that no model wrote (method ``lead-1``)."""


def collect_scores(
    parts: Iterable[tuple[Mapping[str, Any], pandas.DataFrame]],
) -> pandas.DataFrame:
    """Stacks the score frames of ``evaluation.scores.score``, one for each cell.

    A cell names task, model, method, decoding and seed. Returns the columns of
    ``CELL``, id and ``measures``; a measure that a task does not have is NaN. Cells
    and their rows keep the order given: tables list methods, and metrics, in the order
    in which they first appear.
    """
    import pandas as pd

    frames = [
        frame.assign(**{name: cell[name] for name in CELL if name != "split"})
        for cell, frame in parts
    ]
    metrics = dict.fromkeys(
        name for frame in frames for name in measures(frame) if name not in SHAPE
    )
    columns = [*CELL, "id", *metrics, *SHAPE]
    collected = pd.concat(
        [frame.reindex(columns=columns) for frame in frames], ignore_index=True
    )
    return collected.astype(dict.fromkeys([*metrics, *SHAPE], float) | {"seed": int})


def measures(scores: pandas.DataFrame) -> list[str]:
    """The columns of scores that hold numbers of an answer: of its metrics, and its shape."""
    return [name for name in scores.columns if name not in (*CELL, "id")]


def cell_values(frame: pandas.DataFrame, metric: str) -> Values:
    """The values of one metric in the rows of one cell; none where all are NaN, which says
    that the cell does not have the metric."""
    present = frame[["seed", "id", metric]]
    if present[metric].isna().all():
        return {}
    return {
        int(seed): dict(zip(rows["id"], rows[metric], strict=True))
        for seed, rows in present.groupby("seed")
    }


def in_order(frame: pandas.DataFrame, columns: list[str]) -> list[tuple[Any, ...]]:
    """The distinct values of some columns, in the order in which they first appear."""
    return list(frame[columns].drop_duplicates().itertuples(index=False, name=None))


def shares_templates(spec: TableSpec[Any], task: str, split: str) -> bool:
    """Whether a split is made of the templates that training rows are made of."""
    return any(
        column.shared_templates and (column.task, column.split) == (task, split)
        for column in spec.columns
    )


def label(labels: Mapping[str, str], method: str, decoding: str) -> str:
    """What a reader calls a method: its label, and whether it corrected its answer."""
    return row_name(labels.get(method, method), decoding)


def of_column(scores: pandas.DataFrame, column: Column) -> pandas.DataFrame:
    """The scores of the task and split of a column."""
    return scores[(scores["task"] == column.task) & (scores["split"] == column.split)]


def several(models: Iterable[str]) -> bool:
    """Whether a table has to say which model a row is of."""
    return len({*models} - {NO_MODEL}) > 1

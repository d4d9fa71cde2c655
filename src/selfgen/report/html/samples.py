"""Held-out examples with the answers of all methods, as the page shows them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from selfgen.core import names
from selfgen.core.rows import read_rows
from selfgen.core.text import shown
from selfgen.data.checked import steps_of
from selfgen.data.records import asked_text
from selfgen.report.collect import label, of_column
from selfgen.report.html import differences
from selfgen.report.spec import Cell, Column, TableSpec

if TYPE_CHECKING:
    import pandas

SHOWN = 12
"""Examples of a task."""

BEST, BETTER, WORSE = STANDINGS = ("best", "better", "worse")
"""Of an answer: no score is higher and one is lower; the baseline's is lower, or higher."""


@dataclass(frozen=True)
class Answer:
    """What a method answered. ``text``: with what differs from the reference marked, or its
    first wrong step; ``change``: how its draft became it, of a corrected answer;
    ``standings``: of ``STANDINGS``, those that it has."""

    name: str
    text: Markup
    change: Markup | None
    score: float | None
    standings: tuple[str, ...]


@dataclass(frozen=True)
class Sample:
    """An example of a task; ``standings``: those of its answers, each with the method."""

    task: str
    id: str
    prompt: str
    reference: str
    answers: tuple[Answer, ...]

    @property
    def standings(self) -> list[str]:
        return [f"{word} {a.name}" for a in self.answers for word in a.standings]


@dataclass(frozen=True)
class Texts:
    """The answers of a cell by id, and the errors of their steps where those are checked."""

    cell: Cell
    rows: Mapping[str, Mapping[str, Any]]
    errors: Mapping[str, Sequence[str]]


def of_task(
    column: Column,
    records: Sequence[Mapping[str, Any]],
    texts: Sequence[Texts],
    scores: pandas.DataFrame,
    spec: TableSpec[Any],
    delimiters: str | None,
) -> list[Sample]:
    """The held-out examples with the lowest hash of their id, so nobody picked them.

    ``texts``: of the cells of the task under one seed; ``scores`` as ``collect_scores``;
    ``delimiters``: of the steps, where those are checked.
    """
    held_out = [r for r in records if r["split"] == column.split]
    held_out.sort(key=lambda r: hashlib.sha256(r["id"].encode()).hexdigest())
    own = of_column(scores, column)
    grades = {
        (model, method, decoding, id): value
        for model, method, decoding, id, value in own[
            ["model", "method", "decoding", "id", column.metric]
        ].itertuples(index=False)
    }
    by_cell = {(t.cell.method, t.cell.decoding, t.cell.model): t for t in texts}
    samples = []
    for record in held_out[:SHOWN]:
        found = {
            key: grades.get((key[2], key[0], key[1], record["id"])) for key in by_cell
        }
        answers = [
            _answer(record, one, by_cell, found, spec, delimiters)
            for one in texts
            if record["id"] in one.rows
        ]
        samples.append(
            Sample(
                column.task,
                record["id"],
                shown(asked_text(dict(record))),
                shown(record["reference"]),
                tuple(answers),
            )
        )
    return samples


def _answer(
    record: Mapping[str, Any],
    one: Texts,
    by_cell: Mapping[tuple[str, str, str], Texts],
    scores: Mapping[tuple[str, str, str], float | None],
    spec: TableSpec[Any],
    delimiters: str | None,
) -> Answer:
    cell, id = one.cell, record["id"]
    row = one.rows[id]
    if delimiters is not None and id in one.errors:
        steps = [
            step.text for step in steps_of(row["text"], delimiters, bool(row["ended"]))
        ]
        text = differences.stepped(steps, one.errors[id])
    else:
        text = differences.against(row["text"], record["reference"])
    change = None
    draft = names.draft_of(cell.decoding)
    if draft and (other := by_cell.get((cell.method, draft, cell.model))):
        change = differences.changed(other.rows[id]["text"], row["text"])
    name = label(spec.labels, cell.method, cell.decoding)
    score = scores[cell.method, cell.decoding, cell.model]
    baseline = (spec.baseline_of(cell.task, cell.model), "direct", cell.model)
    return Answer(
        name, text, change, score, standings(score, scores, scores.get(baseline))
    )


def standings(
    score: float | None,
    scores: Mapping[Any, float | None],
    baseline: float | None,
) -> tuple[str, ...]:
    """How a score stands among the ``scores`` of an example, and to the baseline's."""
    if score is None:
        return ()
    known = [other for other in scores.values() if other is not None]
    holds = {
        BEST: min(known) < score == max(known),
        BETTER: baseline is not None and score > baseline,
        WORSE: baseline is not None and score < baseline,
    }
    return tuple(word for word in STANDINGS if holds[word])


def read_texts(results: Path, cells: Sequence[Cell], path_of: Any) -> list[Texts]:
    """``path_of``: the files of the answers, and of the steps, of a cell."""
    found = []
    for cell in cells:
        answers, steps = (results.parent / path for path in path_of(cell))
        if answers.is_file():
            errors = read_rows(steps) if steps.is_file() else []
            direct = cell.decoding == "direct"
            found.append(
                Texts(
                    cell,
                    {row["id"]: row for row in read_rows(answers)},
                    {row["id"]: row["free"] for row in errors if direct},
                )
            )
    return found

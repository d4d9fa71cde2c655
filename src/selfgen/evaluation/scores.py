"""Per-example scores: one row for each held-out record, one column for each measure."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.core.errors import UserError
from selfgen.core.rows import parquet, read_rows
from selfgen.data import records
from selfgen.evaluation.metric import Metric
from selfgen.evaluation.metrics import metric
from selfgen.evaluation.text import SHAPE, answer_words, repetition

if TYPE_CHECKING:
    import pandas

    from selfgen.runtime.job import Job


@dataclass(frozen=True)
class ScoresSpec:
    """The metrics that the answers of a task are scored with, and the splits they are of."""

    metrics: tuple[str, ...]
    splits: tuple[str, ...]


def score(
    records: list[dict[str, Any]],
    answers: list[dict[str, Any]],
    spec: ScoresSpec,
    drafts: list[dict[str, Any]] | None = None,
    root: Path = Path(),
) -> pandas.DataFrame:
    """Scores the answers of one model, in the order of the records.

    ``records`` are those of any splits; the ids of ``answers`` (id, text, tokens,
    ended) must be exactly those of the records in ``spec.splits``. Returns the columns
    id, split, the scores of the metrics (0..1), tokens and words of the answer, words
    of the reference, repetition (0..1), ended (1: EOS came before the limit), and
    edited (1: the text is not that of the ``drafts`` that it corrects; NaN without).
    Paths of metrics of one's own are below ``root``.

    Raises UserError: unknown metric; no record; missing, doubled or foreign ids; no gold
    answer.
    """
    import pandas as pd

    metrics = [metric(name, root) for name in spec.metrics]
    chosen = [record for record in records if record["split"] in spec.splits]
    if not chosen:
        raise UserError(f"records: found none of {', '.join(spec.splits)} to score")
    _check_ids(chosen, answers)
    by_id = {answer["id"]: answer for answer in answers}
    before = {draft["id"]: draft["text"] for draft in drafts or ()}
    scored = [column for each in metrics for column in each.columns]
    rows = [
        _row(record, by_id[record["id"]], metrics, before.get(record["id"]))
        for record in chosen
    ]
    return pd.DataFrame(rows, columns=["id", "split", *scored, *SHAPE])


def _row(
    record: dict[str, Any],
    answer: dict[str, Any],
    metrics: list[Metric],
    draft: str | None,
) -> dict[str, Any]:
    text, reference = answer["text"], record["reference"]
    row: dict[str, Any] = {"id": record["id"], "split": record["split"]}
    for each in metrics:
        row |= each.score(text, record)
    return row | {
        "tokens": float(answer["tokens"]),
        "words": float(answer_words(text)),
        "reference_words": float(answer_words(reference)),
        "repetition": repetition(text),
        "ended": float(answer["ended"]),
        "edited": math.nan if draft is None else float(text != draft),
    }


def _check_ids(records: list[dict[str, Any]], answers: list[dict[str, Any]]) -> None:
    wanted = {record["id"] for record in records}
    counts = Counter(answer["id"] for answer in answers)
    problems = {
        "missing": sorted(wanted - set(counts)),
        "doubled": sorted(i for i, count in counts.items() if count > 1),
        "foreign": sorted(set(counts) - wanted),
    }
    for problem, ids in problems.items():
        if ids:
            more = f" and {len(ids) - 3} more" if len(ids) > 3 else ""
            raise UserError(
                f"answers: {len(ids)} {problem} of {len(wanted)} ids: "
                f"{', '.join(map(str, ids[:3]))}{more}"
            )


def step(spec: ScoresSpec, job: Job) -> dict[str, Any]:
    """The scores of a checkpoint's answers."""
    frame = score(
        records.read(job.input("records")),
        read_rows(*job.paths("answers")),
        spec,
        read_rows(*job.paths("drafts")),
        job.root,
    )
    job.write({"scores": parquet(frame)})
    return {}

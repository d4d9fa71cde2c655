"""Lead-1: the first sentence of a text as its summary, what every news model has to beat."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.core.rows import parquet
from selfgen.data import records
from selfgen.data.text import sentences
from selfgen.evaluation.scores import ScoresSpec, score

if TYPE_CHECKING:
    import pandas

    from selfgen.runtime.job import Job


def lead_1(text: str) -> str:
    """The first sentence of a text."""
    return next(iter(sentences(text)), "")


def lead_1_scores(
    records: list[dict[str, Any]], spec: ScoresSpec, root: Path = Path()
) -> pandas.DataFrame:
    """``score`` of the first sentence of each prompt.

    No model wrote it, so tokens and ended are NaN.
    """
    answers = [
        {"id": record["id"], "text": lead_1(record["prompt"])}
        | dict.fromkeys(("tokens", "ended"), math.nan)
        for record in records
        if record["split"] in spec.splits
    ]
    return score(records, answers, spec, root=root)


def step(spec: ScoresSpec, job: Job) -> dict[str, Any]:
    """The scores of each first sentence."""
    frame = lead_1_scores(records.read(job.input("records")), spec, job.root)
    job.write({"scores": parquet(frame)})
    return {}

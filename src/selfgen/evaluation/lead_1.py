"""Lead-1: the first sentence of a text as its summary, what every news model has to beat."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.data.text import sentences
from selfgen.evaluation.scores import ScoresSpec, score

if TYPE_CHECKING:
    import pandas


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
        {
            "id": record["id"],
            "text": lead_1(record["prompt"]),
            "tokens": math.nan,
            "ended": math.nan,
        }
        for record in records
        if record["split"] in spec.splits
    ]
    return score(records, answers, spec, root=root)

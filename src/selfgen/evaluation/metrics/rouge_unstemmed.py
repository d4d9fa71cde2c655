"""ROUGE as ``evaluate`` computes it by default: words count as they are written.

The published scores of vwxyzjn/summarize_from_feedback_details are of this kind (sft.py calls
``rouge.compute`` without ``use_stemmer``); they lie about one point below stemmed ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from selfgen.evaluation.metric import Metric
from selfgen.evaluation.metrics.rouge import ROUGE, rouge

COLUMNS = {f"{name}_unstemmed": f"{title} unstemmed" for name, title in ROUGE.items()}


def score(text: str, record: Mapping[str, Any]) -> dict[str, float]:
    """``rouge`` of an answer without stemming."""
    scores = rouge(text, record["reference"], stemmed=False)
    return {f"{name}_unstemmed": value for name, value in scores.items()}


METRIC = Metric(COLUMNS, score, main="rougeL_unstemmed")

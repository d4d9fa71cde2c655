"""ROUGE of one answer against its reference.

Calls ``rouge_score`` (Google's port of ROUGE-1.5.5) directly: the ``evaluate`` wrapper
gives the same numbers and costs seconds to import.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from selfgen.evaluation.metric import Metric

if TYPE_CHECKING:
    from rouge_score.rouge_scorer import RougeScorer

ROUGE = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L"}


@cache
def _scorer(stemmed: bool) -> RougeScorer:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(list(ROUGE), use_stemmer=stemmed)


def rouge(text: str, reference: str, *, stemmed: bool = True) -> dict[str, float]:
    """F1 of ROUGE-1, ROUGE-2 and ROUGE-L, each in 0..1; ``stemmed`` by Porter's stemmer.

    An answer or a reference without words scores 0.
    """
    scores = _scorer(stemmed).score(reference, text)
    return {name: float(scores[name].fmeasure) for name in ROUGE}


def score(text: str, record: Mapping[str, Any]) -> dict[str, float]:
    """``rouge`` of an answer against the reference of its record."""
    return rouge(text, record["reference"])


METRIC = Metric(ROUGE, score, main="rougeL")

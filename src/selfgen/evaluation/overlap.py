"""ROUGE of one answer against its reference, and the lead-1 baseline of summarization.

Calls ``rouge_score`` (Google's port of ROUGE-1.5.5) directly: the ``evaluate`` wrapper
gives the same numbers and costs seconds to import.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from selfgen.data.text import sentences

if TYPE_CHECKING:
    from rouge_score.rouge_scorer import RougeScorer

ROUGE = ("rouge1", "rouge2", "rougeL")


@cache
def _scorer() -> RougeScorer:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(list(ROUGE), use_stemmer=True)


def rouge(text: str, reference: str) -> dict[str, float]:
    """F1 of ROUGE-1, ROUGE-2 and ROUGE-L, each in 0..1, Porter stemmer on.

    An answer or a reference without words scores 0.
    """
    scores = _scorer().score(reference, text)
    return {name: float(scores[name].fmeasure) for name in ROUGE}


def lead_1(story: str) -> str:
    """The first sentence of a story: the summary that every news model has to beat."""
    return next(iter(sentences(story)), "")

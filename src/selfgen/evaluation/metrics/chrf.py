"""chrF (Popović 2015): F score of character n-grams, by ``sacrebleu`` with its defaults."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from selfgen.evaluation.metric import Metric

if TYPE_CHECKING:
    from sacrebleu.metrics.chrf import CHRF


@cache
def _scorer() -> CHRF:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()


def score(text: str, record: Mapping[str, Any]) -> dict[str, float]:
    """chrF2 of one answer against its reference, 0..1; the package says it in percent."""
    return {"chrf": _scorer().sentence_score(text, [record["reference"]]).score / 100}


METRIC = Metric({"chrf": "chrF"}, score)

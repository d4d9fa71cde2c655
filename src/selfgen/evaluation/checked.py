"""The metric of answers that a checker judges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from selfgen.data.checked import Checker, errors, steps_of
from selfgen.evaluation.metric import Metric


def whole(checker: Checker) -> Metric:
    """Is every step of an answer right? An answer is taken to end where its text does."""

    def score(text: str, record: Mapping[str, Any]) -> dict[str, float]:
        steps = steps_of(text, checker.delimiters)
        return {"whole": float(not any(errors(checker, record["prompt"], steps)))}

    return Metric({"whole": "All steps right"}, score, right_or_wrong=True)

"""What a metric is: a function of an answer and its record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from selfgen.core.errors import UserError


@dataclass(frozen=True)
class Metric:
    """``columns``: the names of its scores and their titles in tables. ``score``: of an
    answer's text and its record, a share of 1 for each column. ``right_or_wrong``: every
    score is 0 or 1, so that a second turn can fix an answer or break it. ``main``: the
    column that methods are compared by, the first one by default.
    """

    columns: Mapping[str, str]
    score: Callable[[str, Mapping[str, Any]], dict[str, float]]
    right_or_wrong: bool = False
    main: str | None = None


def gold(record: Mapping[str, Any]) -> str:
    """The final answer of a record; raises UserError where it has none."""
    answer: str | None = record.get("answer")
    if not answer or not answer.strip():
        raise UserError(f"records: {record['id']} has no answer to grade against")
    return answer


def readings(
    strict: Callable[[str, str], bool], flexible: Callable[[str, str], bool]
) -> Metric:
    """Two readings of an answer's text, each of them the final answer of its record or not.
    Scoring raises UserError where the record has none."""

    def score(text: str, record: Mapping[str, Any]) -> dict[str, float]:
        answer = gold(record)
        return {
            "strict": float(strict(text, answer)),
            "flexible": float(flexible(text, answer)),
        }

    titles = {"strict": "Strict", "flexible": "Flexible"}
    return Metric(titles, score, right_or_wrong=True)

"""Per-example scores: one row for each held-out record, one column for each measure."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from selfgen.core.errors import UserError
from selfgen.evaluation import latex
from selfgen.evaluation import math as numbers
from selfgen.evaluation.overlap import ROUGE, lead_1, rouge
from selfgen.evaluation.text import answer_words, repetition

if TYPE_CHECKING:
    import pandas
from dataclasses import dataclass


@dataclass(frozen=True)
class ScoresSpec:
    """Which graders read the answers of a task: ``overlap`` and ``math``."""

    graders: tuple[str, ...]
    splits: tuple[str, ...]


FINAL = {"math": numbers, "latex": latex}
"""Graders of final answers, each with a strict and a flexible reading."""

GRADED = {"overlap": ROUGE} | dict.fromkeys(FINAL, ("strict", "flexible"))
SHAPE = ("tokens", "words", "reference_words", "repetition", "ended", "edited")
METRICS = (*ROUGE, "strict", "flexible", *SHAPE)


def score(
    records: list[dict[str, Any]],
    answers: list[dict[str, Any]],
    spec: ScoresSpec,
    drafts: list[dict[str, Any]] | None = None,
) -> pandas.DataFrame:
    """Grades the answers of one model, in the order of the records.

    ``records`` are those of any splits; the ids of ``answers`` (id, text, tokens,
    ended) must be exactly those of the records in ``spec.splits``. Returns the columns
    id, split, the scores of the graders (0..1), tokens and words of the answer, words
    of the reference, repetition (0..1), ended (1: EOS came before the limit), and
    edited (1: the text is not that of the ``drafts`` that it corrects; NaN without).

    Raises UserError: unknown grader; missing, doubled or foreign ids; no gold answer.
    """
    import pandas as pd

    _check_graders(spec)
    chosen = [record for record in records if record["split"] in spec.splits]
    _check_ids(chosen, answers)
    by_id = {answer["id"]: answer for answer in answers}
    before = {draft["id"]: draft["text"] for draft in drafts or ()}
    rows = [
        _row(record, by_id[record["id"]], spec.graders, before.get(record["id"]))
        for record in chosen
    ]
    return pd.DataFrame(rows, columns=["id", "split", *_measures(spec)])


def grade(text: str, record: dict[str, Any], metric: str, grader: str = "") -> float:
    """One measure (0..1) of one text against its record: a ROUGE score, or the strict or
    flexible grade of a ``grader`` of final answers."""
    if metric in ROUGE:
        return rouge(text, record["reference"])[metric]
    return float(getattr(FINAL[grader], metric)(text, record["answer"]))


def lead_1_scores(records: list[dict[str, Any]], spec: ScoresSpec) -> pandas.DataFrame:
    """``score`` of lead-1: the first sentence of each prompt as its summary.

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
    return score(records, answers, spec)


def _measures(spec: ScoresSpec) -> list[str]:
    graded = [name for grader in spec.graders for name in GRADED[grader]]
    return [name for name in METRICS if name in graded or name in SHAPE]


def _row(
    record: dict[str, Any],
    answer: dict[str, Any],
    graders: tuple[str, ...],
    draft: str | None,
) -> dict[str, Any]:
    text, reference = answer["text"], record["reference"]
    row: dict[str, Any] = {"id": record["id"], "split": record["split"]}
    if "overlap" in graders:
        row |= rouge(text, reference)
    for name in FINAL:
        if name in graders:
            if not record.get("answer"):
                raise UserError(
                    f"records: {record['id']} has no answer to grade against"
                )
            row |= {
                metric: grade(text, record, metric, name) for metric in GRADED[name]
            }
    return row | {
        "tokens": float(answer["tokens"]),
        "words": float(answer_words(text)),
        "reference_words": float(answer_words(reference)),
        "repetition": repetition(text),
        "ended": float(answer["ended"]),
        "edited": math.nan if draft is None else float(text != draft),
    }


def _check_graders(spec: ScoresSpec) -> None:
    unknown = [name for name in spec.graders if name not in GRADED]
    if unknown:
        raise UserError(
            f"graders: found {unknown[0]!r}, allowed are {', '.join(GRADED)}"
        )


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

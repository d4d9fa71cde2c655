"""How answers degenerate: repetition, few different n-grams, answers that are alike, too long
or without an end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from selfgen.core.hashing import unit
from selfgen.measures.base import Measure, Row, quotient

GROUP = "degeneration"
OTHERS = 32
"""Answers that one is held against for self-BLEU."""

SIDES = {
    "answer": "greedy answers",
    "sample": "samples",
    "reference": "references",
}


def different(ids: Sequence[int], n: int) -> list[float] | None:
    """Different n-grams of an answer, and all of them."""
    grams = [tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)]
    return [float(len(set(grams))), float(len(grams))] if grams else None


def self_bleu(rows: Iterable[Mapping[str, str]]) -> dict[str, dict[str, float]]:
    """``self_bleu_SIDE`` by prompt: BLEU of an answer against those to other prompts, by
    ``sacrebleu``, 0..1 (Zhu et al. 2018)."""
    from sacrebleu.metrics.bleu import BLEU

    bleu = BLEU(effective_order=True)
    rows = sorted(rows, key=lambda row: unit(row["id"], "self-bleu"))
    found: dict[str, dict[str, float]] = {row["id"]: {} for row in rows}
    if len(rows) < 2:
        return found
    for side in SIDES:
        # Samples stop where references are cut.
        column = "reference_text" if side == "reference" else side
        texts = [row[column] for row in rows]
        for place, row in enumerate(rows):
            others = [*texts[place + 1 :], *texts[:place]][:OTHERS]
            score = bleu.sentence_score(texts[place], others).score
            found[row["id"]][f"self_bleu_{side}"] = score / 100
    return found


def with_self_bleu(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """All rows of a model, each with its ``self_bleu``."""
    rows = list(rows)
    found = self_bleu(rows)
    return [row | found[row["id"]] for row in rows]


def _of(
    name: str,
    title: str,
    unit: str,
    source: str,
    cannot: str,
    adds: Callable[[Row], list[float] | None],
    *,
    better: int,
    share: bool = True,
) -> Measure:
    percent = unit == "%"
    return Measure(
        GROUP,
        name,
        title,
        unit,
        source,
        cannot,
        adds,
        quotient,
        share=share,
        better=better,
        scale=100 if percent else 1,
        digits=1 if percent else 2,
    )


def _repeated(row: Row, side: str) -> list[float] | None:
    found = different(row[f"{side}_ids"], 4)
    return None if found is None else [found[1] - found[0], found[1]]


def _side(side: str, words: str) -> list[Measure]:
    # None has a good side: noise repeats nothing. The references' own value is the mark.
    alike = "quality: a right answer may repeat its prompt's words"
    found = [
        _of(
            f"repetition_{side}",
            f"4-grams that stood before, {words}",
            "%",
            "Welleck et al. 2020",
            alike,
            lambda row: _repeated(row, side),
            better=0,
        ),
        _of(
            f"distinct_{side}",
            f"distinct-2 within an answer, {words}",
            "%",
            "Li et al. 2016",
            "variety between answers: see self-BLEU",
            lambda row: different(row[f"{side}_ids"], 2),
            better=0,
        ),
        _of(
            f"self_bleu_{side}",
            f"self-BLEU, {words}",
            "%",
            "Zhu et al. 2018",
            "more than likeness; its interval takes the other answers as they are",
            lambda row: (
                [row[f"self_bleu_{side}"], 1.0] if f"self_bleu_{side}" in row else None
            ),
            better=0,
        ),
    ]
    if side != "reference":
        found += [
            _of(
                f"ended_{side}",
                f"answers that end, {words}",
                "%",
                "",
                "whether they end where they should",
                lambda row: [float(row[f"{side}_ended"]), 1.0],
                better=1,
            ),
            _of(
                f"length_{side}",
                f"tokens over the reference's, {words}",
                "ratio",
                "",
                "quality",
                lambda row: [len(row[f"{side}_ids"]), len(row["reference_ids"])],
                better=0,
                share=False,
            ),
        ]
    return found


MEASURES = tuple(m for side, words in SIDES.items() for m in _side(side, words))

"""Agreement with the reference, position by position: of the model's own greedy answer, and
of its greedy choices after the reference's tokens."""

from __future__ import annotations

from itertools import accumulate
from operator import or_

import numpy as np

from selfgen.evaluation.statistics import divided
from selfgen.measures.base import Line, Measure, Row, Sums, quotient

GROUP = "agreement"
OURS = "ours"
VALID = "It does not show that an answer is wrong: another valid one agrees as little."


def _wrong(side: str) -> Measure:
    words, read = {
        "free": (
            "after its own tokens",
            "the greedy answer has another token, or has ended",
        ),
        "forced": (
            "after the reference's",
            "the model's likeliest token after the reference's tokens before is another",
        ),
    }[side]
    return Measure(
        GROUP,
        f"{side}_wrong",
        f"choices that are not the reference's, {words}",
        "%",
        OURS,
        VALID,
        lambda row: [sum(row[f"{side}_wrong"]), len(row[f"{side}_wrong"])],
        quotient,
        share=True,
        scale=100,
        digits=1,
        definition=f"Positions of the references at which {read}, over all positions.",
    )


def _both(row: Row) -> list[float]:
    free, forced = row["free_wrong"], row["forced_wrong"]
    return [sum(free), sum(forced), len(free)]


def _excess(sums: Sums) -> np.ndarray:
    return divided(sums[:, 0] - sums[:, 1], sums[:, 2])


def _recovered(row: Row) -> list[float]:
    wrong = row["free_wrong"]
    after = [False, *accumulate(wrong, or_)][: len(wrong)]
    behind = [not w for w, late in zip(wrong, after, strict=True) if late]
    return [sum(behind), len(behind)]


def _first(row: Row) -> list[float]:
    wrong = row["free_wrong"]
    return [wrong.index(True) if True in wrong else len(wrong), 1]


MEASURES = (
    _wrong("free"),
    _wrong("forced"),
    Measure(
        GROUP,
        "excess",
        "excess: after its own tokens minus after the reference's",
        "points",
        OURS,
        "It does not show exposure bias alone: one word more shifts all positions behind it.",
        _both,
        _excess,
        scale=100,
        digits=1,
        definition="The first share of such positions minus the second.",
    ),
    Measure(
        GROUP,
        "recovery",
        "positions behind an own wrong one that agree",
        "%",
        OURS,
        "It does not show recovery of meaning: a shifted answer that is right has none.",
        _recovered,
        quotient,
        share=True,
        better=1,
        scale=100,
        digits=1,
        definition="Of the positions behind the first at which the greedy answer is not the"
        " reference, those at which it has the reference's token.",
    ),
    Measure(
        GROUP,
        "first_wrong",
        "tokens before the first that is not the reference's",
        "tokens",
        OURS,
        VALID,
        _first,
        quotient,
        better=1,
        digits=1,
        definition="Tokens of a reference before the first at which the greedy answer"
        " differs, all where none does; the mean over prompts.",
    ),
)

LINES = (
    Line("after its own tokens", lambda row: row["free_wrong"]),
    Line("after the reference's", lambda row: row["forced_wrong"]),
)
"""Shares of choices that are not the reference's, by position."""

"""How sure a model is, and whether it is right as often (Guo et al. 2017, ECE)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from selfgen.evaluation.statistics import divided
from selfgen.measures.base import Line, Measure, Row, Sums, quotient

GROUP = "confidence"
GUO = "Guo et al. 2017"
BINS = 10
"""Of confidence, equally wide."""


def binned(
    confidence: Sequence[float] | None, right: Sequence[float] | None
) -> list[float] | None:
    """Confidence, how often right, and count, of each bin."""
    if not confidence or right is None:
        return None
    sums = np.zeros((3, BINS))
    bins = np.minimum((np.array(confidence) * BINS).astype(int), BINS - 1)
    columns = (np.array(confidence), np.array(right), np.ones(len(bins)))
    for line, values in zip(sums, columns, strict=True):
        np.add.at(line, bins, values)
    found: list[float] = sums.flatten().tolist()
    return found


def ece(sums: Sums) -> np.ndarray:
    """The mean distance of confidence and right choices, a bin weighed by its count."""
    distance = sums[:, :BINS] - sums[:, BINS : 2 * BINS]
    # abs() has no complex derivative.
    total = (distance * np.sign(distance.real)).sum(-1)
    return divided(total, sums[:, 2 * BINS :].sum(-1))


NOISE = "It does not show less than its bins' noise, which a calibrated model has, too."


def _measure(
    name: str,
    title: str,
    adds: Callable[[Row], list[float] | None],
    right: str,
    cannot: str,
    needs: str = "",
) -> Measure:
    return Measure(
        GROUP,
        name,
        title,
        "points",
        GUO,
        f"{NOISE} {cannot}",
        adds,
        ece,
        needs=needs,
        scale=100,
        digits=1,
        definition="A choice is the likeliest token that may be drawn, its confidence the"
        f" probability of that; {right}. In {BINS} equally wide bins of confidence the"
        " distance of its mean from the share of right choices, a bin weighed by its choices."
        " Guo et al. take 15 bins.",
    )


def _reference(row: Row) -> list[float] | None:
    return binned(row["confidence"], [float(not x) for x in row["forced_wrong"]])


def _entropy(name: str, column: str, words: str) -> Measure:
    return Measure(
        GROUP,
        name,
        f"entropy of the next token, {words}",
        "nats",
        "",
        "It does not show whether the model is right to be sure.",
        lambda row: [sum(row[column]), len(row[column])],
        quotient,
        better=0,
        digits=3,
        definition="Entropy of what the next token is drawn from, at temperature 1 and"
        f" without what is never drawn, {words}: the mean over tokens.",
    )


AS_PROBABLE = "it is as right as the oracle finds it probable"
TRUSTED = "What the oracle finds probable need not be right."

MEASURES = (
    _measure(
        "ece_reference",
        "ECE against the reference, after its tokens",
        _reference,
        "it is right where the reference has that token",
        "It says nothing of own contexts, behind which the reference is no answer key: for"
        " those there must be an oracle.",
    ),
    _measure(
        "ece_oracle_reference",
        "ECE against the oracle, after the reference's tokens",
        lambda row: binned(row["confidence"], row.get("gold_right")),
        AS_PROBABLE,
        TRUSTED,
        "oracle",
    ),
    _measure(
        "ece_oracle_own",
        "ECE against the oracle, after its own tokens",
        lambda row: binned(row["own_confidence"], row.get("free_right")),
        AS_PROBABLE,
        TRUSTED,
        "oracle",
    ),
    _entropy("entropy_reference", "entropy", "after the reference's tokens"),
    _entropy("entropy_own", "own_entropy", "after its own tokens"),
)

LINES = (
    Line("after its own tokens", lambda row: row["own_entropy"]),
    Line("after the reference's", lambda row: row["entropy"]),
)
"""Entropy by position, in nats."""

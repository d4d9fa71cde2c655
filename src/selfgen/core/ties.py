"""When two scores are equal."""

from __future__ import annotations

TIE = 1e-4
"""Scores that differ by less are equal: cosines and shares of 1, and nats a token.

Rounding in fp32 moves a cosine by up to 4e-7 from one batch, thread count or processor to
another, which decided between answers that say the same.
"""


def equal(score: float, other: float) -> bool:
    """Whether two scores differ by less than ``TIE``."""
    return abs(score - other) < TIE


def won(score: float, other: float) -> float:
    """1 where ``score`` is the larger one, 0 where it is the smaller, a half of a tie."""
    return 0.5 if equal(score, other) else float(score > other)

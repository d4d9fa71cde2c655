"""Up to which step errors against an oracle are summed, where answers are shorter than 32."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from selfgen.evaluation.accumulated import enough
from selfgen.measures.base import Rows


def reached(models: Iterable[Rows], lengths: Sequence[int]) -> int:
    """The largest of some lengths that enough answers, and their references, of every model
    have (``accumulated.enough``), so that all models are summed alike; the smallest where
    none is. A model without errors against an oracle has no say."""
    having = [counts for rows in models if len(counts := _counts(rows))]
    for length in sorted(lengths, reverse=True):
        if all(len(counts) >= length and enough(counts[:length]) for counts in having):
            return length
    return min(lengths)


def _counts(rows: Rows) -> np.ndarray:
    """How many prompts have each step in answer and reference, of all seeds together."""
    shorter = [
        min(len(row["free_kl"]), len(row["gold_kl"]))
        for by_id in rows.values()
        for row in by_id.values()
        if row.get("free_kl") and row.get("gold_kl")
    ]
    steps = np.arange(max(shorter, default=0))
    counts: np.ndarray = (np.array(shorter)[:, None] > steps).sum(0)
    return counts

"""``noisy-extraction``: as ``extraction``, but the answers of the training split are noisy.

There, what is to be kept is kept with probability 0.9 only, and what is to be dropped with
0.1. Held-out answers are right.
"""

from __future__ import annotations

from selfgen.data.extraction import MEANINGS, extraction
from selfgen.data.procedural import by_rule, made_by_rule

NOISE = 0.1
"""Probability that a symbol is kept or dropped against the rule."""


load = by_rule(
    lambda stream, split: extraction(stream, NOISE if split == "train" else 0.0)
)

DATASET = made_by_rule(load, MEANINGS)

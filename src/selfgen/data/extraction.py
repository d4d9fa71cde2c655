"""A list of symbols, each to be kept (capital) or dropped (small letter).

The answer names the kept ones in order, each by one of two synonyms, 7 to 3 at random.
"""

from __future__ import annotations

import random
import string

from selfgen.data.procedural import Made

SYMBOLS = 12
KEPT, DROPPED = string.ascii_uppercase[:SYMBOLS], string.ascii_lowercase[:SYMBOLS]
NAMES, SYNONYMS = (
    letters[SYMBOLS : 2 * SYMBOLS]
    for letters in (string.ascii_lowercase, string.ascii_uppercase)
)
FIRST_NAME = 0.7
"""Probability that a symbol is called by its first name."""
LENGTHS = (8, 12, 16, 20)
"""Symbols of a prompt; each number is as frequent as the others."""
MEANINGS = dict(zip(SYNONYMS, NAMES, strict=True))
"""Characters that mean the same as another one."""


def extraction(stream: random.Random, noise: float = 0.0) -> Made:
    """One record of the extraction tasks; at least one symbol is kept."""
    n = stream.choice(LENGTHS)
    prompt, answer = "", ""
    while not answer:
        prompt = ""
        for _ in range(n):
            symbol, keep = stream.randrange(SYMBOLS), stream.random() < 0.5
            prompt += (KEPT if keep else DROPPED)[symbol]
            name = NAMES if stream.random() < FIRST_NAME else SYNONYMS
            if keep != (stream.random() < noise):
                answer += name[symbol]
    return prompt, answer, n

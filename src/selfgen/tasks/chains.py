"""``chains``: a digit and some operations modulo 10, made by rule.

The answer repeats each operation and writes the digit that it gives: ``3+4-9`` is answered
``+47-98``.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from selfgen.data.procedural import Made, by_rule, made_by_rule

OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "+": lambda value, d: (value + d) % 10,
    "-": lambda value, d: (value - d) % 10,
    "*": lambda value, d: (value * d) % 10,
}
LENGTHS = (2, 4, 6, 8)
"""Operations of a prompt; each number is as frequent as the others."""


def chain(stream: random.Random) -> Made:
    """One record: ``3+4-9`` is answered ``+47-98``."""
    n = stream.choice(LENGTHS)
    value = stream.randrange(10)
    prompt, answer = str(value), ""
    for _ in range(n):
        sign, d = stream.choice([*OPERATIONS]), stream.randrange(10)
        value = OPERATIONS[sign](value, d)
        prompt += f"{sign}{d}"
        answer += f"{sign}{d}{value}"
    return prompt, answer, n


load = by_rule(lambda stream, _: chain(stream))

DATASET = made_by_rule(load)

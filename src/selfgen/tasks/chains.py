"""``chains``: a digit and some operations modulo 10, made by rule.

The answer repeats each operation and writes the digit that it gives: ``3+4-9`` is answered
``+47-98``.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from selfgen.data.checked import Step
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


class Chains:
    """A step is a character; what is due is known from how many were written before. A value
    is right after the one that was written before it, be that right or wrong."""

    delimiters = ""

    def right(self, prompt: str, before: Sequence[Step]) -> list[Step]:
        """Nothing but the end where as many are written as are due."""
        operations, place = prompt[1:], len(before)
        number, part = divmod(place, 3)
        if 2 * number >= len(operations):
            return [Step("", True)]
        sign, digit = operations[2 * number], operations[2 * number + 1]
        return [
            Step((sign, digit, _value(prompt, before, number, sign, int(digit)))[part])
        ]

    def error(self, prompt: str, before: Sequence[Step], step: Step) -> str:
        """``sign``, ``digit`` or ``value``, or ``end`` (it comes too early or too late)."""
        (right,) = self.right(prompt, before)
        if step.ended or right.ended:
            return "end"
        return ("sign", "digit", "value")[len(before) % 3]


def _value(
    prompt: str, before: Sequence[Step], number: int, sign: str, digit: int
) -> str:
    """What the operation ``number`` gives: of the value written before it, or, where that is
    no digit, of the right one."""
    if not number:
        return str(OPERATIONS[sign](int(prompt[0]), digit))
    written = before[3 * number - 1].text
    if not (written.isascii() and written.isdigit()):
        earlier = prompt[2 * number - 1 : 2 * number + 1]
        steps = before[: 3 * number - 1]
        written = _value(prompt, steps, number - 1, earlier[0], int(earlier[1]))
    return str(OPERATIONS[sign](int(written), digit))


load = by_rule(lambda stream, _: chain(stream))

DATASET = replace(made_by_rule(load), checker=Chains())

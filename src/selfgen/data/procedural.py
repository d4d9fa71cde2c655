"""Tasks made by rule, with known answers: for small models that are trained from nothing.

Every character is a token. Records depend on split and number alone, so they are the same
for all seeds of a run; held-out prompts never stand in the training split.

- ``extraction``: a list of symbols, each to be kept (capital) or dropped (small letter).
  The answer names the kept ones in order, each by one of two synonyms, 7 to 3 at random.
- ``noisy-extraction``: the same, but in the training split what is to be kept is kept
  with probability 0.9 only, and what is to be dropped with 0.1. Held-out answers are right.
- ``chains``: a digit and some operations modulo 10. The answer repeats each operation and
  writes the digit that it gives.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from selfgen.data.spec import RecordsSpec
from selfgen.data.text import record

VERSION = 2
"""Records of version 1 were read while regimes and recipes were chosen; these were not."""
SYMBOLS = 12
KEPT, DROPPED = string.ascii_uppercase[:SYMBOLS], string.ascii_lowercase[:SYMBOLS]
NAMES, SYNONYMS = (
    letters[SYMBOLS : 2 * SYMBOLS]
    for letters in (string.ascii_lowercase, string.ascii_uppercase)
)
FIRST_NAME = 0.7
"""Probability that a symbol is called by its first name."""
NOISE = 0.1
"""Probability that a symbol of a noisy answer is kept or dropped against the rule."""
OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "+": lambda value, d: (value + d) % 10,
    "-": lambda value, d: (value - d) % 10,
    "*": lambda value, d: (value * d) % 10,
}
ITEMS = {"extraction": (8, 12, 16, 20), "chains": (2, 4, 6, 8)}
"""Lengths of a prompt, in symbols or operations; each is as frequent as the others."""
CHARACTERS = {
    "extraction": KEPT + DROPPED + NAMES + SYNONYMS,
    "chains": string.digits + "".join(OPERATIONS),
}
MEANINGS = dict(zip(SYNONYMS, NAMES, strict=True))
"""Characters of the extraction tasks that mean the same as another one."""

Made = tuple[str, str, int]
"""Prompt, answer, number of items."""


def extraction(stream: random.Random, noise: float = 0.0) -> Made:
    """One record of the extraction tasks; at least one symbol is kept."""
    n = stream.choice(ITEMS["extraction"])
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


def chain(stream: random.Random) -> Made:
    """One record of ``chains``: ``3+4-9`` is answered ``+47-98``."""
    n = stream.choice(ITEMS["chains"])
    value = stream.randrange(10)
    prompt, answer = str(value), ""
    for _ in range(n):
        sign, d = stream.choice([*OPERATIONS]), stream.randrange(10)
        value = OPERATIONS[sign](value, d)
        prompt += f"{sign}{d}"
        answer += f"{sign}{d}{value}"
    return prompt, answer, n


def load_extraction(_: dict[str, Path], spec: RecordsSpec) -> Iterator[dict[str, Any]]:
    """Rows of ``extraction``."""
    return _rows(spec, lambda stream, _: extraction(stream))


def load_noisy(_: dict[str, Path], spec: RecordsSpec) -> Iterator[dict[str, Any]]:
    """Rows of ``noisy-extraction``."""
    return _rows(
        spec,
        lambda stream, split: extraction(stream, NOISE if split == "train" else 0.0),
    )


def load_chains(_: dict[str, Path], spec: RecordsSpec) -> Iterator[dict[str, Any]]:
    """Rows of ``chains``."""
    return _rows(spec, lambda stream, _: chain(stream))


def _rows(
    spec: RecordsSpec, make: Callable[[random.Random, str], Made]
) -> Iterator[dict[str, Any]]:
    # Held-out splits first, so that their prompts can be kept out of training.
    taken: set[str] = set()
    for split in sorted(spec.rows, key=lambda name: name == "train"):
        own: set[str] = set()
        number = 0
        while len(own) < spec.rows[split]:
            stream = random.Random(f"{spec.dataset}/{VERSION}/{split}/{number}")
            number += 1
            prompt, answer, n = make(stream, split)
            if prompt in taken or prompt in own:
                continue
            own.add(prompt)
            yield record(
                spec.task,
                f"{spec.dataset}-{split}-{number}",
                prompt,
                answer,
                split=split,
                source="selfgen",
                licence="made by rule",
                answer=answer,
                kind=str(n),
            )
        taken |= own

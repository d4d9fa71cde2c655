"""``sort-words``: words to be sorted by their first letters, made by rule; any order where
these are the same.
"""

from __future__ import annotations

import random

from selfgen.data.checked import by_rule
from selfgen.data.dataset import DataSet
from selfgen.data.sorting import Sorted
from selfgen.data.words import ANIMALS, FOODS, THINGS

WORDS, LETTERS = 18, 3
"""Words of a prompt, and their first letters."""

_EACH = 12
"""Words of a letter: few, so that a small model learns which letter each begins with."""

BY_LETTER: dict[str, list[str]] = {}
for _letter in "bcmpst":
    _words = [w for w in (*ANIMALS, *FOODS, *THINGS) if w.startswith(_letter)]
    BY_LETTER[_letter] = sorted(random.Random(_letter).sample(_words, _EACH))


def make(stream: random.Random) -> tuple[str, str]:
    """One record. The reference has words of one letter in random order."""
    words: list[str] = []
    while len({word[0] for word in words}) < LETTERS:
        chosen = stream.sample([*BY_LETTER], LETTERS)
        words = stream.sample([w for a in chosen for w in BY_LETTER[a]], WORDS)
    order = sorted(stream.sample(words, WORDS), key=lambda word: word[0])
    return ", ".join(words), ", ".join(order)


CHECKER = Sorted(lambda word: word[0])

load = by_rule(make, version=1)

DATASET = DataSet(
    load,
    {},
    template="Sort by first letter: {prompt}",
    metrics=("sort-words",),
    shared_templates=("validation", "test"),
    checker=CHECKER,
)

"""``sort-words``: words to be sorted by their first letters, made by rule; any order where
these are the same.

After any steps, right is each word that is not written yet and whose letter comes first of
those, with a comma while others are left.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from selfgen.data.checked import Step, by_rule
from selfgen.data.dataset import DataSet
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


class SortWords:
    """Of a prompt of words."""

    delimiters = ","

    def right(self, prompt: str, before: Sequence[Step]) -> list[Step]:
        """Nothing but the end where all words are written."""
        left = self._left(prompt, before)
        first = min((word[0] for word in left), default="")
        ends = "," if len(left) > 1 else ""
        words = [word for word in left if word[0] == first] or [""]
        return [Step(word + ends, not ends) for word in words]

    def error(self, prompt: str, before: Sequence[Step], step: Step) -> str:
        """``again``, ``foreign`` (no word of the prompt), ``order`` (one of an earlier letter
        is left), ``end`` (a right word, but what follows it is not)."""
        word, left = step.text.rstrip(","), self._left(prompt, before)
        if word in left:
            return "end" if word[0] == min(left)[0] else "order"
        if word in prompt.split(", "):
            return "again"
        return "foreign" if word else "end"

    @staticmethod
    def _left(prompt: str, before: Sequence[Step]) -> list[str]:
        done = {step.text.rstrip(",") for step in before}
        return [word for word in prompt.split(", ") if word not in done]


load = by_rule(make, version=1)

DATASET = DataSet(
    load,
    {},
    template="Sort by first letter: {prompt}",
    metrics=("sort-words",),
    shared_templates=("validation", "test"),
    checker=SortWords(),
)

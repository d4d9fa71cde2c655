"""``group-words``: words to be sorted into their kinds, made by rule; any order in a kind.

``animals: bee, fox`` and a line for each further kind. After any steps, right is each word of
the line's kind that the line has not got yet, with a comma while others are left.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from selfgen.data.checked import Step, by_rule
from selfgen.data.dataset import DataSet
from selfgen.data.words import KINDS

LEAST, MOST = 3, 6
"""Words of a kind in a prompt; each number is as frequent as the others."""


def make(stream: random.Random) -> tuple[str, str]:
    """One record. The reference has the words of a kind in random order."""
    picked = {
        kind: stream.sample(words, stream.randint(LEAST, MOST))
        for kind, words in KINDS.items()
    }
    words = [word for kind in picked.values() for word in kind]
    stream.shuffle(words)
    lines = (f"{kind}: {', '.join(words)}" for kind, words in picked.items())
    return ", ".join(words), "\n".join(lines)


class GroupWords:
    """Lines are in the order of ``KINDS``."""

    delimiters = ",\n"

    def right(self, prompt: str, before: Sequence[Step]) -> list[Step]:
        """The line is that of as many kinds as lines were begun; no line comes after the
        last kind's."""
        kinds = list(KINDS)
        line, fresh, listed = self._state(kinds, before)
        if fresh and line + 1 == len(kinds):
            return [Step("", True)]
        line += fresh
        head = f"{kinds[line]}: " if fresh else ""
        left = [w for w in _of(kinds[line], prompt) if (line, w) not in listed]
        last = line + 1 == len(kinds)
        ends = "," if len(left) > 1 else "" if last else "\n"
        return [Step((head + word).strip() + ends, not ends) for word in left or [""]]

    def error(self, prompt: str, before: Sequence[Step], step: Step) -> str:
        """``header``, ``kind`` (the word is of another), ``again``, ``foreign`` (no word of
        the prompt), ``end`` (a right word, but what follows it is not)."""
        kinds = list(KINDS)
        line, fresh, listed = self._state(kinds, before)
        head, colon, word = _parts(step)
        line = min(line + fresh, len(kinds) - 1)
        kind = kinds[line]
        if bool(colon) != fresh or head != kind * fresh:
            return "header"
        if (line, word) in listed:
            return "again"
        if word in _of(kind, prompt) or not word:
            return "end"
        return "kind" if word in prompt.split(", ") else "foreign"

    @staticmethod
    def _state(
        kinds: Sequence[str], before: Sequence[Step]
    ) -> tuple[int, bool, set[tuple[int, str]]]:
        """The line that was begun last, from 0; whether it is done; and what each has."""
        line, fresh = -1, True
        listed = set()
        for step in before:
            line = min(line + fresh, len(kinds) - 1)
            listed.add((line, _parts(step)[2]))
            fresh = step.text.endswith("\n")
        return line, fresh, listed


def _of(kind: str, prompt: str) -> list[str]:
    return [word for word in prompt.split(", ") if word in KINDS[kind]]


def _parts(step: Step) -> tuple[str, str, str]:
    head, colon, word = step.text.rstrip(",\n").rpartition(":")
    return head.strip(), colon, word.strip()


load = by_rule(make, version=1)

DATASET = DataSet(
    load,
    {},
    template="Sort by kind: {prompt}",
    metrics=("group-words",),
    shared_templates=("validation", "test"),
    checker=GroupWords(),
)

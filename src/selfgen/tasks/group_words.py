"""``group-words``: words to be sorted into their kinds, made by rule; a line for each kind,
any order in a line.

``bee, fox`` and the next line the next kind's. After any steps, right is each word of the
line's kind that the line has not got yet, with a comma while others are left.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from selfgen.data.checked import Step, by_rule
from selfgen.data.dataset import DataSet
from selfgen.data.words import KINDS

LEAST, MOST = 5, 7
"""Words of a kind in a prompt; each number is as frequent as the others."""


def make(stream: random.Random) -> tuple[str, str]:
    """One record. The reference has the words of a kind in random order."""
    lines = [
        stream.sample(words, stream.randint(LEAST, MOST)) for words in KINDS.values()
    ]
    words = [word for line in lines for word in line]
    stream.shuffle(words)
    return ", ".join(words), "\n".join(", ".join(line) for line in lines)


class GroupWords:
    """Lines are in the order of ``KINDS``: how many were closed says whose turn it is."""

    delimiters = ",\n"

    def right(self, prompt: str, before: Sequence[Step]) -> list[Step]:
        """Nothing but the end where all lines are closed."""
        kinds = [*KINDS]
        line, listed = _state(before)
        if line >= len(kinds):
            return [Step("", True)]
        left = [word for word in _of(kinds[line], prompt) if word not in listed]
        last = line + 1 == len(kinds)
        ends = "," if len(left) > 1 else "" if last else "\n"
        return [Step(word + ends, not ends) for word in left or [""]]

    def error(self, prompt: str, before: Sequence[Step], step: Step) -> str:
        """``again``, ``kind`` (the word is of another), ``foreign`` (no word of the prompt),
        ``end`` (a right word, but what follows it is not, or more after the last line)."""
        kinds = [*KINDS]
        line, listed = _state(before)
        word = step.text.rstrip(",\n").strip()
        if word in listed:
            return "again"
        if not word or line >= len(kinds) or word in _of(kinds[line], prompt):
            return "end"
        return "kind" if word in prompt.split(", ") else "foreign"


def _state(before: Sequence[Step]) -> tuple[int, set[str]]:
    """How many lines are closed, and what the open one has."""
    line, listed = 0, set()
    for step in before:
        listed.add(step.text.rstrip(",\n").strip())
        if step.text.endswith("\n"):
            line, listed = line + 1, set()
    return line, listed


def _of(kind: str, prompt: str) -> list[str]:
    return [word for word in prompt.split(", ") if word in KINDS[kind]]


load = by_rule(make, version=1)

DATASET = DataSet(
    load,
    {},
    template=f"Sort by kind, a line each for {', '.join(KINDS)}: {{prompt}}",
    metrics=("group-words",),
    shared_templates=("validation", "test"),
    checker=GroupWords(),
)

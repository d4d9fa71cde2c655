"""Answers made of steps, each of which is right or wrong after whatever stands before it.

A *step* is a piece of the answer's text, up to a delimiter or to the end of the answer; where
a task has no delimiter, a character is one, and so is the end. A checker knows all right next
steps after any steps before, right or wrong, of a reference or a model's own. So free-running
and teacher-forced errors need neither alignment nor an oracle model, and an answer may be
right without being the reference.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from selfgen.data.dataset import Loader, RecordsSpec, record


@dataclass(frozen=True)
class Step:
    """``text``: with its delimiter, without the blanks around it. ``ended``: the answer ended
    here, by EOS. A step that has neither was cut off."""

    text: str
    ended: bool = False


class Checker(Protocol):
    """The rule of a task. ``prompt``: a record's, without the text around it."""

    delimiters: str
    """Characters, each of which ends a step; none: each character is one."""

    def right(self, prompt: str, before: Sequence[Step]) -> list[Step]:
        """All right next steps, at least one, whatever stands before."""

    def error(self, prompt: str, before: Sequence[Step], step: Step) -> str:
        """What is wrong with a step that is not right, in a word."""


def steps_of(text: str, delimiters: str, ended: bool = True) -> list[Step]:
    """The steps of an answer. ``ended``: by EOS, and not at a limit of tokens."""
    if not delimiters:
        return [*map(Step, text), *[Step("", True)] * ended]
    *pieces, last = re.split(f"([{re.escape(delimiters)}])", text)
    closed = zip(pieces[::2], pieces[1::2], strict=True)
    rest = [Step(last.strip(), ended)] if ended or last.strip() else []
    return [*(Step(piece.strip() + mark) for piece, mark in closed), *rest]


def written(steps: Sequence[Step], delimiters: str) -> str:
    """The text of steps: with a blank between two on one line; characters stand close."""
    pieces: list[str] = []
    for step in steps:
        close = not delimiters or not pieces or pieces[-1].endswith("\n")
        pieces.append(step.text if close else " " + step.text)
    return "".join(pieces)


def errors(checker: Checker, prompt: str, steps: Sequence[Step]) -> list[str]:
    """For each step nothing where it is right after those before it, else what is wrong."""
    found = []
    for k, step in enumerate(steps):
        right = step in checker.right(prompt, steps[:k])
        found.append("" if right else checker.error(prompt, steps[:k], step))
    return found


def by_rule(make: Callable[[random.Random], tuple[str, str]], version: int) -> Loader:
    """Loads rows of ``make(stream)``, a prompt and its reference. They depend on split,
    number and ``version`` alone, and no prompt stands twice, in whatever split."""
    return lambda _, spec: _rows(spec, make, version)


def _rows(
    spec: RecordsSpec, make: Callable[[random.Random], tuple[str, str]], version: int
) -> Iterator[dict[str, Any]]:
    # Held-out splits first, so that more training rows change none of them.
    taken: set[str] = set()
    for split in sorted(spec.rows, key=lambda name: name == "train"):
        number = made = 0
        while made < spec.rows[split]:
            stream = random.Random(f"{spec.dataset}/{version}/{split}/{number}")
            number += 1
            prompt, reference = make(stream)
            if prompt in taken:
                continue
            taken.add(prompt)
            made += 1
            yield record(
                spec.task,
                f"{spec.dataset}-{split}-{number}",
                prompt,
                reference,
                split=split,
                source="selfgen",
                licence="made by rule",
            )


def spans(
    tokenizer: Any, answer: Sequence[int], delimiters: str
) -> Iterator[tuple[int, int]]:
    """The tokens of each step of an answer, from and up to. A step ends with the token that
    has its delimiter in it, or its last character."""
    start = 0
    text = ""
    for t in range(1, len(answer)):
        before, text = text, tokenizer.decode(answer[:t], skip_special_tokens=True)
        for _ in range(_count(text, delimiters) - _count(before, delimiters)):
            yield start, t
            start = t
    yield start, len(answer)


def _count(text: str, delimiters: str) -> int:
    return sum(map(text.count, delimiters)) if delimiters else len(text)

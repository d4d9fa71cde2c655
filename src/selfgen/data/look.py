"""What is in files of one's own: numbers for ``selfgen new`` and ``selfgen check``."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from selfgen.core.errors import UserError
from selfgen.core.hashing import unit
from selfgen.data import tables
from selfgen.data.columns import Columns
from selfgen.data.dataset import split_of
from selfgen.data.own_rows import Faults, Own, read
from selfgen.data.prompts import PromptSpec, answer_ids, prompt_ids

SAMPLE = 256
"""Rows whose tokens are counted."""

PROMPTS = ("prompt", "question", "instruction", "input", "query", "document", "article")
REFERENCES = ("reference", "completion", "answer", "response", "output", "summary")
DIALOGUES = ("messages", "conversation", "conversations")
"""Names of columns as data sets have them, the likeliest first."""

MANY = 10**6
"""Tokens that no prompt or answer has."""


@dataclass
class Look:
    """``rows`` that are records, ``faults`` of others; how many of which split; ``inside``:
    references that stand in their own prompt; ``several``: how many prompts stand with more
    than one reference. ``sample``: those of the lowest hash."""

    rows: int = 0
    splits: Counter[str] = field(default_factory=Counter)
    inside: int = 0
    several: int = 0
    faults: Faults = field(default_factory=Faults)
    sample: list[Own] = field(default_factory=list)


def look(files: Mapping[str, Sequence[Path]], columns: Columns) -> Look:
    """Read the files of splits (or of ``all``) once.

    Raises UserError: a file that cannot be read.
    """
    found = Look()
    places = [(split, path) for split, paths in files.items() for path in paths]
    prompts: Counter[int] = Counter()
    least: list[tuple[float, int, Own]] = []
    for place, own in read([path for _, path in places], columns, found.faults):
        split = places[place][0]
        found.rows += 1
        found.splits[split_of(own.asked()) if split == "all" else split] += 1
        found.inside += own.reference.strip() in own.prompt
        prompts[hash(own.asked())] += 1
        item = (-unit(own.id, "look"), found.rows, own)
        if len(least) < SAMPLE:
            heapq.heappush(least, item)
        else:
            heapq.heappushpop(least, item)
    found.several = sum(count > 1 for count in prompts.values())
    found.sample = [own for *_, own in sorted(least, reverse=True)]
    return found


@dataclass(frozen=True)
class Lengths:
    """Tokens of prompts and of closed answers in a sample, each in ascending order."""

    prompts: list[int]
    answers: list[int]

    def mean(self) -> tuple[float, float]:
        prompts, answers = (sum(x) / len(x) for x in (self.prompts, self.answers))
        return prompts, answers

    def at(self, share: float) -> tuple[int, int]:
        """So large a share is no longer."""
        prompts, answers = (
            x[min(len(x) - 1, int(share * len(x)))]
            for x in (self.prompts, self.answers)
        )
        return prompts, answers


def lengths(sample: Sequence[Own], tokenizer: Any, prompt: PromptSpec) -> Lengths:
    """Tokens of the sample, none of it cut.

    Raises UserError, as the tokenizer's chat template does.
    """
    whole = PromptSpec(
        prompt.template,
        prompt.correction,
        MANY,
        MANY,
        prompt.answer_prefix,
        control_tokens=prompt.control_tokens,
    )
    return Lengths(
        sorted(len(prompt_ids(tokenizer, whole, x.prompt, x.history)) for x in sample),
        sorted(len(answer_ids(tokenizer, whole, x.reference)) for x in sample),
    )


def guess(path: Path) -> Columns:
    """The columns of a prompt and a reference, by their usual names.

    Raises UserError: none of them has one.
    """
    rows: list[dict[str, Any]] = [row for _, row in islice(tables.read(path), 1)]
    if not rows:
        raise UserError(f"{path}: found no rows, allowed: at least one")
    (row,) = rows
    if dialogue := next(_named(row, DIALOGUES), None):
        return Columns(messages=dialogue)
    asked, reference = (
        next(_named(row, PROMPTS), None),
        next(_named(row, REFERENCES), None),
    )
    if not asked or not reference:
        raise UserError(
            f"{path}: found the columns {', '.join(row)}; say which are asked and answered by"
            " --prompt and --reference (a column, or a template such as '{title}: {text}'),"
            " or by --messages"
        )
    if asked == "instruction" and "input" in row:  # as Alpaca has it
        asked = "{instruction}\n\n{input}"
    return Columns(asked, reference)


def _named(row: Mapping[str, Any], names: Sequence[str]) -> Iterator[str]:
    lower = {str(name).lower(): str(name) for name in row}
    return (lower[name] for name in names if name in lower)

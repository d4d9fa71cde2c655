"""What a measurement reads, and what its page shows; importing this is cheap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selfgen.core.spec import Checked, Device
from selfgen.core.types import Count, Seed
from selfgen.data.prompts import PromptSpec

LENGTH = 32
"""Steps up to which errors against an oracle are summed at most, where none are named."""

LENGTHS = tuple(range(1, LENGTH + 1))
"""Of these the largest is taken that enough answers and references have
(``lengths.reached``)."""

CONTINUED = 16
"""Tokens of a continuation after half of an answer."""


@dataclass(frozen=True)
class MeasureSpec(Checked):
    """How a model is read on each prompt.

    ``planted``: tokens before a place that are replaced. ``dataset``: whose checker judges
    steps; "" where there is none. ``length``: tokens of answers that no token ends.
    """

    prompt: PromptSpec
    seed: Seed = 0
    planted: Count = 4
    dataset: str = ""
    length: Count = LENGTH


@dataclass(frozen=True)
class MeasureStep(Checked):
    """What the workflow's step is told: of which records, and where it runs. ``oracle``:
    whether it has the weights of one."""

    measure: MeasureSpec
    split: str
    prompts: Count
    oracle: bool
    device: Device


@dataclass(frozen=True)
class PageSpec(Checked):
    """What the page of a run's measurements shows.

    ``methods`` and ``seeds`` of each file that is read, in order; the first method is held
    against the others. ``about``: what was read, in words. ``lengths``: see ``LENGTHS``.
    """

    methods: tuple[str, ...]
    seeds: tuple[Seed, ...]
    dataset: str
    about: Mapping[str, str]
    confidence: float
    lengths: tuple[int, ...] = LENGTHS


@dataclass(frozen=True)
class Check:
    """What was looked at, whether it is as it should be, and what was found in words."""

    name: str
    ok: bool
    found: str


def steps_in_words(lengths: Sequence[int]) -> str:
    """Up to which step errors are summed."""
    return f"{max(lengths)} steps" + (" at most" if len(lengths) > 1 else "")


def tokens(
    prompt: int, answer: int, *, oracle: bool, checked: bool, length: int = LENGTH
) -> tuple[int, int]:
    """What a row of ``reading.read_prompts`` takes, about: tokens that are read, by the
    oracle, too, and tokens that are written; ``checked``: a checker judges steps;
    ``length``: of answers that no token ends."""
    half = prompt + answer // 2
    read = 2 * prompt + 2 * half
    written = 2 * answer + 2 * CONTINUED
    # The reference, a sample, three with planted errors, and two other forms of the prompt
    texts = 7 * (prompt + answer)
    if checked:
        read += prompt + answer + 2 * half
        written += 3 * answer
    if oracle:
        read += prompt
        written += length
        texts = 2 * (texts + prompt + length + 2 * (half + CONTINUED))
    return read + texts, written

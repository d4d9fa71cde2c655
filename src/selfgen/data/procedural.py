"""Data sets made by rule, with known answers: for small models that are trained from nothing.

Every character is a token. Records depend on split and number alone, so they are the same
for all seeds of a run.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from selfgen.data.dataset import DataSet, Loader, RecordsSpec, record

VERSION = 2
"""Records of version 1 were read while regimes and recipes were chosen; these were not."""

Made = tuple[str, str, int]
"""Prompt, answer, number of items."""


def made_by_rule(load: Loader, meanings: Mapping[str, str] | None = None) -> DataSet:
    """A data set whose splits differ in nothing but chance. ``meanings``: the characters
    of an answer that mean the same as another one."""
    return DataSet(
        load, {}, shared_templates=("validation", "test"), aligned=meanings or {}
    )


def by_rule(make: Callable[[random.Random, str], Made]) -> Loader:
    """Loads rows of ``make(stream, split)``; held-out prompts never stand in the training
    split."""
    return lambda _, spec: _rows(spec, make)


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

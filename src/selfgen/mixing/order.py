"""Which example stands in which optimiser step: one plan for every method.

The plan reads ids and the lengths of the plain rows only, so all methods of a stage see the
same examples in the same step, with the same labelled tokens.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from selfgen.core import memory
from selfgen.core.errors import UserError
from selfgen.core.hashing import unit
from selfgen.core.spec import Steps

WINDOW = 8
"""Batches that are sorted by length together; more would make the order less random."""

ROW_BYTES = 100
"""Of a row in a plan: a pair of numbers in a list."""

Step = list[tuple[int, int]]
"""The rows of an optimiser step: (example index, epoch)."""


def plan_steps(
    ids: Sequence[str],
    lengths: Sequence[int],
    *,
    epochs: int,
    batch_size: int,
    seed: int,
) -> list[Step]:
    """Steps of ``(example index, epoch)``; every example once an epoch.

    An epoch is shuffled, cut into windows of ``WINDOW`` batches, each window sorted by
    length and cut into batches, and the batches shuffled: rows of a step have similar
    lengths and little padding. The last step of an epoch may be smaller.

    Raises UserError: there is no row, or there are more than memory can hold.
    """
    rows = len(ids) * epochs
    memory.ask("epochs", f"a plan of {rows} rows", rows * ROW_BYTES, "lower them")
    return [
        step
        for epoch in range(epochs)
        for step in _epoch(ids, lengths, epoch, batch_size, seed)
    ]


def part_of(steps: list[Step], part: Steps | None) -> Iterator[tuple[int, Step]]:
    """Steps with their numbers; those of ``part`` only, if there is one.

    Raises UserError when the plan has not as many steps as the part was cut from.
    """
    if part and part.total != len(steps):
        raise UserError(f"steps: found {len(steps)} of the stage, not {part.total}")
    first, last = (part.first, part.last) if part else (0, len(steps))
    return iter([*enumerate(steps)][first:last])


def tokens_in_time(tokens: float, seconds: float, pass_seconds: float) -> float:
    """The tokens that a training of ``tokens`` in ``seconds`` would have read, at the same
    speed, if it had had the time of its pass as well."""
    return tokens * (seconds + pass_seconds) / seconds


def plan_tokens(
    ids: Sequence[str],
    lengths: Sequence[int],
    *,
    tokens: float,
    batch_size: int,
    seed: int,
) -> list[Step]:
    """As many steps of the same plan, over as many epochs, as ``tokens`` allow: at least
    one, and the last is the one that reaches them."""
    steps: list[Step] = []
    epoch, read = 0, 0
    while read < tokens or not steps:
        for step in _epoch(ids, lengths, epoch, batch_size, seed):
            steps.append(step)
            read += sum(lengths[i] for i, _ in step)
            if read >= tokens:
                break
        epoch += 1
    return steps


def is_plain(seed: int, example: str, epoch: int, share: float) -> bool:
    """Whether this example is not mixed in this epoch (BASH): a draw at its address."""
    return unit(example, f"plain/{seed}/{epoch}") < share


def _epoch(
    ids: Sequence[str], lengths: Sequence[int], epoch: int, batch_size: int, seed: int
) -> list[Step]:
    if not ids:
        raise UserError("rows: there is no training record")
    stream = random.Random(f"order/{seed}/{epoch}")
    # Sorted first, so that the order of the records file cannot matter.
    order = sorted(range(len(ids)), key=lambda i: ids[i])
    stream.shuffle(order)
    batches = []
    for start in range(0, len(order), WINDOW * batch_size):
        window = order[start : start + WINDOW * batch_size]
        window.sort(key=lambda i: (lengths[i], ids[i]))
        batches += [
            window[i : i + batch_size] for i in range(0, len(window), batch_size)
        ]
    stream.shuffle(batches)
    return [[(i, epoch) for i in batch] for batch in batches]

"""Which example stands in which optimiser step: one plan for every method.

The plan reads ids and the lengths of the plain rows only, so all methods of a stage see the
same examples in the same step, with the same labelled tokens.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from selfgen.specs import UserError

WINDOW = 8
"""Batches that are sorted by length together; more would make the order less random."""


def plan_steps(
    ids: Sequence[str],
    lengths: Sequence[int],
    *,
    epochs: int,
    batch_size: int,
    seed: int,
) -> list[list[tuple[int, int]]]:
    """Steps of ``(example index, epoch)``; every example once an epoch.

    An epoch is shuffled, cut into windows of ``WINDOW`` batches, each window sorted by
    length and cut into batches, and the batches shuffled: rows of a step have similar
    lengths and little padding. The last step of an epoch may be smaller.
    """
    if not ids:
        raise UserError("rows: there is no training record")
    steps: list[list[tuple[int, int]]] = []
    for epoch in range(epochs):
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
        steps += [[(i, epoch) for i in batch] for batch in batches]
    return steps

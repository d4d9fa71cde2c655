"""Rows of optimiser steps, and how a step is cut into forward passes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import torch

from selfgen.specs import Steps, UserError

log = logging.getLogger(__name__)

IGNORE = -100
"""A label that is not trained on, as in transformers."""

Row = dict[str, Any]

Result = TypeVar("Result")


def steps_of(rows: Iterable[Row], part: Steps | None = None) -> list[list[Row]]:
    """The rows of each optimiser step; the ``step`` column must count 0, 1, 2, ..., or
    through the steps of ``part`` and no others."""
    first = part.first if part else 0
    steps: list[list[Row]] = []
    for row in rows:
        number = row["step"] - first
        if number == len(steps):
            steps.append([])
        if not steps or number != len(steps) - 1:
            raise UserError(
                f"rows: step {row['step']} of row {row['id']} is out of order"
            )
        steps[-1].append(row)
    if part and first + len(steps) != part.last:
        raise UserError(
            f"rows: found {len(steps)} steps, steps {first} to {part.last - 1} are due"
        )
    return steps


def labelled(rows: Iterable[Row]) -> int:
    """Labelled tokens of some rows; the first position can carry none."""
    return sum(label != IGNORE for row in rows for label in row["labels"][1:])


def tokens_of(rows: Iterable[Row]) -> int:
    """Tokens that the model reads in some rows."""
    return sum(len(row["input_ids"]) for row in rows)


def collate(rows: list[Row], device: Any) -> dict[str, Any]:
    """A micro-batch as ``LabelLoss`` takes it. Labels are unshifted in the rows, as in
    transformers: the state at position t - 1 is asked for ``labels[t]``."""
    ids, before, labels = [], [], []
    for row in rows:
        for t, label in enumerate(row["labels"][1:], 1):
            if label != IGNORE:
                before.append(len(ids) + t - 1)
                labels.append(label)
        ids += row["input_ids"]
    asked = torch.tensor([before, labels], dtype=torch.long).to(device)
    return {
        "input_ids": torch.tensor(ids, dtype=torch.long).to(device),
        "before": asked[0],
        "labels": asked[1],
        "lengths": [len(row["input_ids"]) for row in rows],
    }


def micro_batches(groups: list[list[Row]], tokens: int) -> Iterator[list[Row]]:
    """The rows of a step in runs of similar length, each of at most ``tokens`` tokens (one
    group, if that alone is longer). The rows of a group stay together, in their order."""
    sized = [(tokens_of(group), group) for group in groups]
    sized.sort(key=lambda item: (item[0], item[1][0]["id"]))
    batch: list[Row] = []
    size = 0
    for length, group in sized:
        if batch and size + length > tokens:
            yield batch
            batch, size = [], 0
        batch += group
        size += length
    yield batch


def shares(groups: list[list[Row]], processes: int) -> list[list[list[Row]]]:
    """The groups of a step dealt out: the longest first, each to the process that has the
    fewest tokens. Every process does this for itself and takes its own."""
    dealt: list[list[list[Row]]] = [[] for _ in range(processes)]
    tokens = [0] * processes
    for group in sorted(groups, key=lambda group: (-tokens_of(group), group[0]["id"])):
        least = tokens.index(min(tokens))
        dealt[least].append(group)
        tokens[least] += tokens_of(group)
    return dealt


class Passes:
    """Work on the rows of a step, in forward passes of at most ``tokens`` tokens; where
    there are several ``processes``, on the share of the one that is number ``process``.

    When the device runs out of memory, the work begins again with half as many tokens a
    forward pass, which changes no result; a single group that does not fit is an error.
    With several processes it is one always: the others would wait for ever.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        tokens: int,
        process: int = 0,
        processes: int = 1,
    ) -> None:
        self.module, self.tokens = module, tokens
        self.process, self.processes = process, processes

    def run(
        self, groups: list[list[Row]], work: Callable[[Iterator[list[Row]]], Result]
    ) -> Result:
        """The result of ``work`` on the micro-batches of ``groups``, or of its share.

        Raises UserError: fewer groups than processes.
        """
        from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

        if len(groups) < self.processes:
            raise UserError(
                f"training: a step has {len(groups)} rows or pairs, which"
                f" {self.processes} processes cannot share; start fewer"
            )
        if self.processes > 1:
            groups = shares(groups, self.processes)[self.process]
        largest = max(map(tokens_of, groups))
        while True:
            try:
                return work(micro_batches(groups, self.tokens))
            except RuntimeError as error:
                alone = self.processes == 1
                known = should_reduce_batch_size(error)
                if self.tokens <= largest or not known or not alone:
                    raise
            self.module.zero_grad(set_to_none=True)
            clear_device_cache(garbage_collection=True)
            self.tokens //= 2
            log.warning(
                "out of memory: going on with %d tokens a forward pass", self.tokens
            )

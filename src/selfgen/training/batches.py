"""Rows of optimiser steps, and how a step is cut into forward passes."""

from __future__ import annotations

import functools
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from selfgen.core.errors import UserError
from selfgen.core.rows import VERIFIED, reading
from selfgen.core.spec import Steps

log = logging.getLogger(__name__)

IGNORE = -100
"""A label that is not trained on, as in transformers."""

KEYS = ("step", "id", "input_ids", "labels")
"""What every row has."""

TrainingRow = dict[str, Any]
"""``step, id, epoch, input_ids, labels`` and, of pairs, ``role``."""

Result = TypeVar("Result")


def steps_of(
    rows: Iterable[TrainingRow] | Path, part: Steps | None = None
) -> Sequence[list[TrainingRow]]:
    """The rows of each optimiser step; of a Parquet file they are read when asked for.

    Raises:
        UserError: the ``step`` column does not count 0, 1, 2, ..., or through the steps of
            ``part`` and no others; the file is missing.
    """
    if not isinstance(rows, Path):
        if not isinstance(rows, Iterable) or isinstance(rows, str | Mapping):
            raise UserError(
                f"rows: found {rows!r:.60}, allowed: rows, or a path of some"
            )
        rows = list(rows)
        for number, row in enumerate(rows):
            known = row if isinstance(row, Mapping) else {}
            if missing := [key for key in KEYS if key not in known]:
                raise UserError(f"rows: row {number} has no {', '.join(missing)}")
        ends = _ends(((row["step"], row["id"]) for row in rows), part)
        return [rows[a:b] for a, b in itertools.pairwise([0, *ends])]
    return StoredSteps(rows, part)


class StoredSteps(Sequence[list[TrainingRow]]):
    """The steps of a Parquet file of rows, of which one row group is in memory."""

    def __init__(self, path: Path, part: Steps | None) -> None:
        import pyarrow.parquet

        with reading(path):
            self.file = pyarrow.parquet.ParquetFile(path, **VERIFIED)
            columns = self.file.read(["step", "id"]).to_pydict()
        self.path = path
        named = zip(columns["step"], columns["id"], strict=True)
        self.ends = [0, *_ends(named, part)]
        sizes = map(self.file.metadata.row_group, range(self.file.num_row_groups))
        self.starts = [0, *itertools.accumulate(group.num_rows for group in sizes)]
        self._read = functools.lru_cache(maxsize=1)(self.file.read_row_group)

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(  # type: ignore[override]  # no slices
        self, step: int
    ) -> list[TrainingRow]:
        if not 0 <= step < len(self):
            raise IndexError(step)
        first, last = self.ends[step], self.ends[step + 1]
        rows: list[TrainingRow] = []
        for group, (start, end) in enumerate(itertools.pairwise(self.starts)):
            a, b = max(first, start), min(last, end)
            if a < b:
                with reading(self.path):
                    read = self._read(group)
                rows += read.slice(a - start, b - a).to_pylist()
        return rows


def _ends(named: Iterable[tuple[int, str]], part: Steps | None) -> list[int]:
    """Where each step ends, from the step and the id of each row."""
    first = part.first if part else 0
    ends: list[int] = []
    for place, (step, name) in enumerate(named):
        number = step - first
        if number == len(ends):
            ends.append(place)
        if not ends or number != len(ends) - 1:
            raise UserError(f"rows: step {step} of row {name} is out of order")
        ends[-1] += 1
    if part and first + len(ends) != part.last:
        raise UserError(
            f"rows: found {len(ends)} steps, steps {first} to {part.last - 1} are due"
        )
    return ends


def labelled(rows: Iterable[TrainingRow]) -> int:
    """Labelled tokens of some rows; the first position can carry none."""
    return sum(label != IGNORE for row in rows for label in row["labels"][1:])


def check(row: TrainingRow) -> None:
    """Raises UserError where a row has no token, or not as many labels."""
    tokens, labels = len(row["input_ids"]), len(row["labels"])
    if not tokens or tokens != labels:
        raise UserError(
            f"rows: found {tokens} tokens and {labels} labels in the row {row['id']};"
            " allowed: as many of both, and at least one"
        )


def address(row: TrainingRow) -> tuple[str, int]:
    """Where the draws of a row are: its id and its epoch."""
    if "epoch" not in row:
        raise UserError(f"rows: the row {row['id']} has no epoch")
    return row["id"], row["epoch"]


def tokens_of(rows: Iterable[TrainingRow]) -> int:
    """Tokens that the model reads in some rows."""
    return sum(len(row["input_ids"]) for row in rows)


def collate(rows: list[TrainingRow], device: Any) -> dict[str, Any]:
    """A micro-batch as ``LabelLoss`` takes it. Labels are unshifted in the rows, as in
    transformers: the state at position t - 1 is asked for ``labels[t]``."""
    ids: list[int] = []
    before, labels = [], []
    for row in rows:
        for t, label in enumerate(row["labels"][1:], 1):
            if label != IGNORE:
                before.append(len(ids) + t - 1)
                labels.append(label)
        ids.extend(row["input_ids"])
    asked = torch.tensor([before, labels], dtype=torch.long).to(device)
    return {
        "input_ids": torch.tensor(ids, dtype=torch.long).to(device),
        "before": asked[0],
        "labels": asked[1],
        "lengths": [len(row["input_ids"]) for row in rows],
    }


def micro_batches(
    groups: list[list[TrainingRow]], tokens: int
) -> Iterator[list[TrainingRow]]:
    """The rows of a step in runs of similar length, each of at most ``tokens`` tokens (one
    group, if that alone is longer). The rows of a group stay together, in their order."""
    sized = [(tokens_of(group), group) for group in groups]
    sized.sort(key=lambda item: (item[0], item[1][0]["id"]))
    batch: list[TrainingRow] = []
    size = 0
    for length, group in sized:
        if batch and size + length > tokens:
            yield batch
            batch, size = [], 0
        batch += group
        size += length
    if batch:
        yield batch


def shares(
    groups: list[list[TrainingRow]], processes: int
) -> list[list[list[TrainingRow]]]:
    """The groups of a step dealt out: the longest first, each to the process that has the
    fewest tokens. Every process does this for itself and takes its own."""
    dealt: list[list[list[TrainingRow]]] = [[] for _ in range(processes)]
    tokens = [0] * processes
    for group in sorted(groups, key=lambda group: (-tokens_of(group), group[0]["id"])):
        least = tokens.index(min(tokens))
        dealt[least].append(group)
        tokens[least] += tokens_of(group)
    return dealt


@dataclass
class Passes:
    """Work on the rows of a step, in forward passes of at most ``tokens`` tokens; where
    there are several ``processes``, on the share of the one that is number ``process``.

    Processes that ``share`` the weights pass forward together: each has as many passes as
    the one that needs most. Those beyond its own repeat a small group and count nothing, as
    does the only pass of a process that has no rows, for its gradients are waited for.

    When the device runs out of memory, the work begins again with half as many tokens a
    forward pass, which changes no result. A single group that does not fit is a UserError
    that says what can be done, and with several processes it always is: the others would wait
    for ever.
    """

    module: torch.nn.Module
    tokens: int
    process: int = 0
    processes: int = 1
    share: bool = False

    def run(
        self,
        groups: list[list[TrainingRow]],
        work: Callable[[list[list[TrainingRow]], int], Result],
    ) -> Result:
        """The result of ``work`` on the forward passes of ``groups``, or of its share:
        their rows, and how many of them count, which are the first."""
        from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

        while True:
            parts, counted = self.cut(groups)
            try:
                return work(parts, counted)
            except RuntimeError as error:
                if not should_reduce_batch_size(error):
                    raise
                if advice := self._advice(max(map(tokens_of, groups))):
                    raise UserError(f"out of memory with {advice}") from error
            self.module.zero_grad(set_to_none=True)
            clear_device_cache(garbage_collection=True)
            self.tokens //= 2
            log.warning(
                "out of memory: going on with %d tokens a forward pass", self.tokens
            )

    def _advice(self, largest: int) -> str | None:
        """What can be done where half as many tokens cannot be tried."""
        if self.tokens <= largest:
            return (
                f"one row, of {largest} tokens: shorten rows (max_prompt_tokens,"
                " max_new_tokens), train adapters (lora), or share the weights of several"
                " GPUs (finetune:launch=profiles/launch/fsdp2.yaml in --set-resources)"
            )
        if self.processes > 1:
            return (
                f"{self.tokens} tokens a forward pass: give fewer"
                " (finetune:micro_batch_tokens in --set-resources, --micro-batch-tokens)"
            )
        return None

    def cut(
        self, groups: list[list[TrainingRow]]
    ) -> tuple[list[list[TrainingRow]], int]:
        """The forward passes of this process, and how many of them count."""
        cuts = [
            [*micro_batches(dealt, self.tokens)]
            for dealt in shares(groups, self.processes)
        ]
        own = cuts[self.process]
        due = max(map(len, cuts)) if self.share else max(1, len(own))
        spare = min(groups, key=lambda group: (tokens_of(group), group[0]["id"]))
        return own + [spare] * (due - len(own)), len(own)

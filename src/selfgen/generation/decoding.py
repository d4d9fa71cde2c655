"""What every engine shares: a request to fill, and the order of work."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, ClassVar, TypeVar

import torch

from selfgen.core.errors import UserError
from selfgen.core.spec import at_least, instance
from selfgen.generation.sampling import Sampler
from selfgen.models.reader import Reader


@dataclass(frozen=True)
class Prompt:
    """One prompt to answer; ``epoch`` tells several drafts of one example apart. Prompts of
    one ``group`` begin alike, so an engine may read their beginning once. ``sibling``: tokens
    that the answer is likely to resemble: guesses of the speculative engine, which save
    passes where they are right, and in fp32 change no token. What is no token of the model
    is none of them."""

    id: str
    epoch: int
    prompt_ids: Sequence[int]
    group: str = field(default="", kw_only=True)
    sibling: Sequence[int] = field(default=(), kw_only=True)

    def __len__(self) -> int:
        """Tokens that are known of it."""
        return len(self.prompt_ids)


@dataclass(frozen=True)
class Request:
    """One answer to fill, of ``limit`` tokens or up to one of ``stops``.

    ``drawn``: the answer positions, ascending, whose token the model chooses; ``given``:
    the other tokens, and at a drawn position what the token is likely to be. A request
    without ``given`` is drawn everywhere. ``key`` addresses its draws (``rng.row_key``);
    ``name`` stands in errors. ``group`` and ``sibling``: as of a ``Prompt``.
    """

    key: int
    prompt_ids: Sequence[int]
    limit: int
    given: Sequence[int] = ()
    drawn: Sequence[int] = ()
    stops: frozenset[int] = frozenset()
    name: str = ""
    group: str = ""
    sibling: Sequence[int] = ()

    @property
    def positions(self) -> Sequence[int]:
        """The answer positions whose token the model chooses."""
        return self.drawn if self.given else range(self.limit)

    def __len__(self) -> int:
        """Tokens of the prompt and of the longest answer."""
        return len(self.prompt_ids) + self.limit


Filled = Iterator[tuple[int, list[int]]]
"""Index of a request and the tokens of its answer, in the order in which requests finish."""


@dataclass
class Counts:
    """What an engine did: passes, tokens that went through the model (padding included),
    and positions that were projected to the vocabulary; those of wrong guesses, too."""

    passes: int = 0
    forwarded: int = 0
    projected: int = 0


class ByBatch(ABC):
    """An engine that fills one batch after the other, each by ``_batch``."""

    alone: ClassVar[bool] = False
    """Whether a batch has one request."""

    def __init__(self, reader: Reader, sampler: Sampler) -> None:
        self.reader, self.sampler = reader, sampler
        self.counts = Counts()

    def __call__(self, requests: Sequence[Request], batch_size: int) -> Filled:
        """Fill ``requests`` in the given order, ``batch_size`` at a time."""
        batch_size = 1 if self.alone else batch_size
        for start in range(0, len(requests), batch_size):
            batch = requests[start : start + batch_size]
            yield from enumerate(self._batch(batch), start)

    @abstractmethod
    def _batch(self, batch: Sequence[Request]) -> list[list[int]]:
        """The answers of the requests of a batch, in their order."""


Row = TypeVar("Row", bound=Prompt)


def of_shard(rows: Sequence[Row], size: int, shard: int, shards: int) -> list[Row]:
    """The rows of ``shard`` of ``shards``, in the order of the plan: batches of ``size``
    rows of like length, the longest first.

    The plan depends on lengths and ids alone. Its batches are dealt to the shards in turn,
    forth and back, so that all get long ones and short ones, and the number of shards changes
    no batch. ``gather.in_plan_order`` puts them together again.

    Raises UserError: rows or numbers that are none.
    """
    for name, number, least in (("batch_size", size, 1), ("shards", shards, 1)):
        at_least(name, number, least)
    if shard not in range(shards):
        raise UserError(f"shard: found {shard!r}, allowed: 0 to {shards - 1}")
    for row in rows:
        instance("generation: a row", row, Prompt)
    names = [f"{row.id} {row.epoch}" for row in rows]
    if len(set(names)) != len(names):
        raise UserError("generation: request ids are not unique")
    if empty := [row.id for row in rows if not len(row.prompt_ids)]:
        raise UserError(f"generation: the prompt of {empty[0]} has no token")
    order = sorted(range(len(rows)), key=lambda i: (-len(rows[i]), names[i]))
    turn = [*range(shards), *reversed(range(shards))]
    dealt = zip(range(0, len(order), size), cycle(turn))
    starts = [start for start, to in dealt if to == shard]
    return [rows[i] for start in starts for i in order[start : start + size]]


def token_ids(name: str, ids: Any) -> list[int]:
    """Token ids as a list, whatever holds them; a list is returned itself.

    Raises UserError, which names the row: they are no numbers.
    """
    found: list[int] = ids
    if not isinstance(ids, list):
        found = ids.tolist() if hasattr(ids, "tolist") else list(ids)
    if strange := [i for i in found if not isinstance(i, int)]:
        raise UserError(f"row {name}: found {strange[0]!r}, allowed: token ids")
    return found


def left_pad(
    sequences: Sequence[Sequence[int]], pad: int, device: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """``(input_ids, attention_mask)``, both [sequences, longest]."""
    length = max(map(len, sequences))
    ids = [[pad] * (length - len(s)) + list(s) for s in sequences]
    mask = [[0] * (length - len(s)) + [1] * len(s) for s in sequences]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)

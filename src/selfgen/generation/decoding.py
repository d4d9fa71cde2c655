"""What every engine shares: a request to fill, the draw of a token, the order of work."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch

from selfgen.core.errors import UserError
from selfgen.core.rng import gumbel
from selfgen.core.spec import Sampling
from selfgen.models.loading import decoder


@dataclass(frozen=True)
class Request:
    """One answer to fill, of ``limit`` tokens or up to ``stop``.

    ``drawn``: the answer positions, ascending, whose token the model chooses; ``given``:
    the other tokens, and at a drawn position what the token is likely to be. A request
    without ``given`` is drawn everywhere. ``key`` addresses its draws (``rng.row_key``).
    """

    key: int
    prompt_ids: Sequence[int]
    limit: int
    given: Sequence[int] = ()
    drawn: Sequence[int] = ()
    stop: int | None = None

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
    and positions that were projected to the vocabulary."""

    passes: int = 0
    forwarded: int = 0
    projected: int = 0


@dataclass(frozen=True)
class Sampler:
    """Draws tokens at their addresses; ``banned`` token ids are never drawn."""

    sampling: Sampling
    banned: Sequence[int] = ()

    def __call__(
        self,
        head: torch.nn.Module,
        states: torch.Tensor,
        keys: torch.Tensor,
        positions: torch.Tensor,
    ) -> torch.Tensor:
        """Token ids [n] after ``states`` [n, size], for request ``keys`` and answer
        ``positions`` [n]. The vocabulary is projected to a few states at a time."""
        vocabulary = len(cast(torch.Tensor, head.weight))
        size = max(1, (2**26 if states.is_cuda else 2**22) // vocabulary)
        parts = [
            self.choose(head(part), keys[i : i + size], positions[i : i + size])
            for i, part in zip(
                range(0, len(states), size), states.split(size), strict=True
            )
        ]
        return torch.cat(parts)

    def choose(
        self, logits: torch.Tensor, keys: torch.Tensor, positions: torch.Tensor
    ) -> torch.Tensor:
        """Token ids [n] for ``logits`` [n, vocabulary]."""
        scores = logits.float()
        scores[:, list(self.banned)] = -torch.inf
        if self.sampling.temperature > 0:
            scores = truncate(scores / self.sampling.temperature, self.sampling)
            scores = scores + gumbel(keys, positions, scores.shape[-1])
        return scores.argmax(-1)


class ByBatch(ABC):
    """An engine that fills one batch after the other, each by ``_batch``."""

    def __init__(self, model: Any, sampler: Sampler) -> None:
        self.model, self.sampler = model, sampler
        self.body, self.head = decoder(model), model.get_output_embeddings()
        self.counts = Counts()

    def __call__(self, requests: Sequence[Request], batch_size: int) -> Filled:
        """Fill ``requests`` in the given order, ``batch_size`` at a time."""
        for start in range(0, len(requests), batch_size):
            batch = requests[start : start + batch_size]
            yield from enumerate(self._batch(batch), start)

    @abstractmethod
    def _batch(self, batch: Sequence[Request]) -> list[list[int]]:
        """The answers of the requests of a batch, in their order."""


def truncate(scores: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """Scores [n, vocabulary] outside the ``top_k`` and ``top_p`` sets become -inf."""
    if sampling.top_k:
        least = scores.topk(min(sampling.top_k, scores.shape[-1])).values[:, -1:]
        scores = scores.masked_fill(scores < least, -torch.inf)
    if sampling.top_p < 1:
        ordered, order = scores.sort(descending=True)
        mass = ordered.softmax(-1).cumsum(-1)
        outside = (mass - ordered.softmax(-1)) >= sampling.top_p
        scores = scores.masked_fill(outside.scatter(-1, order, outside), -torch.inf)
    return scores


def plan_batches(
    lengths: Sequence[int], ids: Sequence[str], size: int
) -> list[list[int]]:
    """Batches of request indices: requests of like length together, the longest first.

    The plan depends on lengths and ids alone. A shard is a run of whole batches of it, so
    the number of shards changes no tensor shape.
    """
    if len(set(ids)) != len(ids):
        raise UserError("generation: request ids are not unique")
    order = sorted(range(len(ids)), key=lambda i: (-lengths[i], ids[i]))
    return [order[i : i + size] for i in range(0, len(order), size)]


def shard_of(batches: list[list[int]], shard: int, shards: int) -> list[int]:
    """The requests of the run of whole batches that belongs to ``shard`` of ``shards``."""
    n = len(batches)
    chosen = batches[shard * n // shards : (shard + 1) * n // shards]
    return [index for batch in chosen for index in batch]


def left_pad(
    sequences: Sequence[Sequence[int]], pad: int, device: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """``(input_ids, attention_mask)``, both [sequences, longest]."""
    length = max(map(len, sequences))
    ids = [[pad] * (length - len(s)) + list(s) for s in sequences]
    mask = [[0] * (length - len(s)) + [1] * len(s) for s in sequences]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)

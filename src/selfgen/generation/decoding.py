"""The batched left-to-right loop under the forced pass and under free generation.

One forward pass a position with a key-value cache; rows are left-padded, finished rows
leave the batch, and only rows whose token the model chooses pay for the vocabulary
projection.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch

from selfgen.generation.draws import gumbel
from selfgen.models import decoder
from selfgen.specs import Sampling, UserError


class Policy(Protocol):
    """Says what the next token of each row is, and when a row is finished."""

    def drawn(self, rows: torch.Tensor, position: int) -> torch.Tensor:
        """[n] bool: rows whose token at ``position`` is the model's own."""

    def given(self, rows: torch.Tensor, position: int) -> torch.Tensor:
        """[n] int64: the token of every other row; ignored where ``drawn``."""

    def finished(
        self, rows: torch.Tensor, position: int, tokens: torch.Tensor
    ) -> torch.Tensor:
        """[n] bool: rows for which the token at ``position`` was the last."""


class Chooser:
    """Draws a token from logits at an address.

    Args:
        keys: [rows] int64, one key a row (``draws.row_key``).
        banned: token ids that are never chosen.
    """

    def __init__(
        self, sampling: Sampling, keys: torch.Tensor, banned: Sequence[int] = ()
    ) -> None:
        self.sampling = sampling
        self.keys = keys
        self.banned = list(banned)

    def __call__(
        self, logits: torch.Tensor, rows: torch.Tensor, positions: torch.Tensor
    ) -> torch.Tensor:
        """Token ids [n] for ``logits`` [n, vocabulary] of ``rows`` at ``positions``."""
        scores = logits.float()
        scores[:, self.banned] = -torch.inf
        if self.sampling.temperature > 0:
            scores = truncate(scores / self.sampling.temperature, self.sampling)
            noise = gumbel(self.keys[rows], positions, scores.shape[-1])
            scores = scores + noise.to(scores.dtype)
        return scores.argmax(-1)


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
    """Batches of row indices: rows of like length together, the longest first.

    The plan depends on lengths and ids alone. A shard is a run of whole batches of it, so
    the number of shards changes no tensor shape.
    """
    if len(set(ids)) != len(ids):
        raise UserError("generation: row ids are not unique")
    order = sorted(range(len(ids)), key=lambda i: (-lengths[i], ids[i]))
    return [order[i : i + size] for i in range(0, len(order), size)]


def shard_of(batches: list[list[int]], shard: int, shards: int) -> list[list[int]]:
    """The run of whole batches that belongs to ``shard`` of ``shards``."""
    n = len(batches)
    return batches[shard * n // shards : (shard + 1) * n // shards]


def left_pad(
    sequences: Sequence[Sequence[int]], pad: int, device: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """``(input_ids, attention_mask)``, both [rows, longest]."""
    length = max(map(len, sequences))
    ids = [[pad] * (length - len(s)) + list(s) for s in sequences]
    mask = [[0] * (length - len(s)) + [1] * len(s) for s in sequences]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


@torch.inference_mode()
def decode(
    model: Any, prompts: Sequence[Sequence[int]], policy: Policy, chooser: Chooser
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yields ``(rows, tokens)`` position by position until every row is finished.

    ``rows`` are indices into ``prompts``; ``tokens`` their tokens at this position.
    """
    from transformers import DynamicCache

    head = model.get_output_embeddings()
    body = decoder(model)
    ids, mask = left_pad(prompts, model.config.pad_token_id or 0, model.device)
    rows = torch.arange(len(prompts), device=model.device)
    alive = torch.ones_like(rows, dtype=torch.bool)
    cache = DynamicCache(config=model.config)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    step = 0
    while True:
        states = body(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        )[0][:, -1]
        tokens = policy.given(rows, step).clone()
        drawn = policy.drawn(rows, step) & alive
        if drawn.any():
            where = torch.full_like(rows[drawn], step)
            tokens[drawn] = chooser(head(states[drawn]), rows[drawn], where)
        yield rows[alive], tokens[alive]
        alive = alive & ~policy.finished(rows, step, tokens)
        left = int(alive.sum())
        if left == 0:
            return
        if left <= 0.75 * len(rows):
            # Dropping rows copies the cache, so it waits until a quarter is finished.
            keep = alive.nonzero()[:, 0]
            cache.batch_select_indices(keep)
            rows, tokens, mask, positions = (
                rows[keep],
                tokens[keep],
                mask[keep],
                positions[keep],
            )
            alive = torch.ones_like(rows, dtype=torch.bool)
        ids = tokens[:, None]
        mask = torch.cat([mask, torch.ones_like(ids)], 1)
        positions = positions[:, -1:] + 1
        step += 1

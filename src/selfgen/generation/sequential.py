"""The sequential engines: a key-value cache and one pass a token, or neither.

``Sequential`` left-pads the requests of a batch, and finished ones leave it. ``Alone`` has
one request at a time, for models that padding or ragged rows disturb. ``Uncached`` reads
whole rows again for every draw, for those whose caches are of another kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from selfgen.generation.decoding import ByBatch, Request, left_pad


class Sequential(ByBatch):
    """Fills requests one token a pass."""

    @torch.inference_mode()
    def _batch(self, batch: Sequence[Request]) -> list[list[int]]:
        from transformers import DynamicCache

        device = self.reader.device
        ids, mask = left_pad([request.prompt_ids for request in batch], 0, device)
        longest = max(request.limit for request in batch)
        given = torch.zeros((len(batch), longest), dtype=torch.int64)
        drawn = torch.zeros((len(batch), longest), dtype=torch.bool)
        for line, request in enumerate(batch):
            given[line, : len(request.given)] = torch.tensor(request.given)
            drawn[line, torch.tensor(request.positions, dtype=torch.int64)] = True
        given, drawn = given.to(device), drawn.to(device)
        limits = torch.tensor([request.limit for request in batch], device=device)
        keys = torch.tensor([request.key for request in batch], device=device)
        lines = torch.arange(len(batch), device=device)
        alive = torch.ones_like(lines, dtype=torch.bool)
        answers: list[list[int]] = [[] for _ in batch]
        cache = DynamicCache(config=self.reader.config)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        step = 0
        while True:
            states = self.reader.step(ids, mask, positions, cache)
            self.counts.passes += 1
            self.counts.forwarded += ids.numel()
            tokens = given[lines, step].clone()
            chosen = drawn[lines, step] & alive
            if chosen.any():
                self.counts.projected += int(chosen.sum())
                where = torch.full_like(lines[chosen], step)
                tokens[chosen] = self.sampler(
                    self.reader, states[chosen], keys[lines[chosen]], where
                )
            going = alive.tolist()
            for i, (line, token) in enumerate(
                zip(lines.tolist(), tokens.tolist(), strict=True)
            ):
                if going[i]:
                    answers[line].append(token)
                    going[i] = token not in batch[line].stops
            alive = torch.tensor(going, device=device) & (limits[lines] > step + 1)
            left = int(alive.sum())
            if left == 0:
                return answers
            if left <= 0.75 * len(lines) and _selects(cache):
                # Dropping rows copies the cache, so it waits until a quarter is finished.
                keep = alive.nonzero()[:, 0]
                cache.batch_select_indices(keep)
                lines, tokens, mask, positions = (
                    lines[keep],
                    tokens[keep],
                    mask[keep],
                    positions[keep],
                )
                alive = torch.ones_like(lines, dtype=torch.bool)
            ids = tokens[:, None]
            mask = torch.cat([mask, torch.ones_like(ids)], 1)
            # A finished row stays where it is: beyond the model's positions it would be
            # refused, or change how others are read.
            positions = positions[:, -1:] + alive[:, None]
            step += 1


def _selects(cache: Any) -> bool:
    """Can rows leave the cache? Those of linear attention cannot: they stay, unread."""
    return all(hasattr(layer, "batch_select_indices") for layer in cache.layers)


class Alone(Sequential):
    """Fills one request at a time."""

    alone = True


class Uncached(ByBatch):
    """Fills requests by reading each of a batch up to its next draw, from the start."""

    @torch.inference_mode()
    def _batch(self, batch: Sequence[Request]) -> list[list[int]]:
        device = self.reader.device
        tokens = [[*request.prompt_ids, *request.given] for request in batch]
        left = {line: list(request.positions) for line, request in enumerate(batch)}
        while active := [line for line, positions in left.items() if positions]:
            at = [left[line].pop(0) for line in active]
            rows = [
                tokens[line][: len(batch[line].prompt_ids) + t]
                for line, t in zip(active, at, strict=True)
            ]
            lengths = [len(row) for row in rows]
            ids = torch.tensor([token for row in rows for token in row], device=device)
            states = self.reader.states(ids, lengths)
            self.counts.passes += 1
            self.counts.forwarded += len(ids)
            self.counts.projected += len(rows)
            last = torch.tensor(lengths, device=device).cumsum(0) - 1
            keys = torch.tensor([batch[line].key for line in active], device=device)
            where = torch.tensor(at, device=device)
            draws = self.sampler(self.reader, states[last], keys, where).tolist()
            for line, t, token in zip(active, at, draws, strict=True):
                request, end = batch[line], len(batch[line].prompt_ids) + t
                tokens[line][end : end + 1] = [token]
                if token in request.stops:
                    left[line] = []
        return [
            row[len(request.prompt_ids) :]
            for row, request in zip(tokens, batch, strict=True)
        ]

"""The sequential engine: a batch, a key-value cache, one pass a token.

Requests are left-padded, and finished ones leave the batch. It asks nothing of a model but
a cache, so it also serves those that ``selfgen.models.attention`` cannot lay out flat.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from selfgen.generation.decoding import ByBatch, Request, left_pad


class Sequential(ByBatch):
    """Fills requests one token a pass."""

    @torch.inference_mode()
    def _batch(self, batch: Sequence[Request]) -> list[list[int]]:
        from transformers import DynamicCache

        device = self.model.device
        pad = self.model.config.pad_token_id or 0
        ids, mask = left_pad([request.prompt_ids for request in batch], pad, device)
        longest = max(request.limit for request in batch)
        given = torch.zeros((len(batch), longest), dtype=torch.int64)
        drawn = torch.zeros((len(batch), longest), dtype=torch.bool)
        for line, request in enumerate(batch):
            given[line, : len(request.given)] = torch.tensor(request.given)
            drawn[line, torch.tensor(request.positions, dtype=torch.int64)] = True
        given, drawn = given.to(device), drawn.to(device)
        limits = torch.tensor([request.limit for request in batch], device=device)
        stops = torch.tensor(
            [-1 if request.stop is None else request.stop for request in batch],
            device=device,
        )
        keys = torch.tensor([request.key for request in batch], device=device)
        lines = torch.arange(len(batch), device=device)
        alive = torch.ones_like(lines, dtype=torch.bool)
        answers: list[list[int]] = [[] for _ in batch]
        cache = DynamicCache(config=self.model.config)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        step = 0
        while True:
            states = self.body(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
            )[0][:, -1]
            self.counts.passes += 1
            self.counts.forwarded += ids.numel()
            tokens = given[lines, step].clone()
            chosen = drawn[lines, step] & alive
            if chosen.any():
                self.counts.projected += int(chosen.sum())
                where = torch.full_like(lines[chosen], step)
                tokens[chosen] = self.sampler(
                    self.head, states[chosen], keys[lines[chosen]], where
                )
            for line, token, live in zip(
                lines.tolist(), tokens.tolist(), alive.tolist(), strict=True
            ):
                if live:
                    answers[line].append(token)
            alive &= (limits[lines] > step + 1) & (tokens != stops[lines])
            left = int(alive.sum())
            if left == 0:
                return answers
            if left <= 0.75 * len(lines):
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
            positions = positions[:, -1:] + 1
            step += 1

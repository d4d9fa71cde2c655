"""The one-pass engine: all draws from the reference prefix, in one forward pass.

Another distribution than left-to-right decoding: a drawn token never sees an earlier one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from selfgen.generation.decoding import ByBatch, Request, left_pad


class OnePass(ByBatch):
    """Fills requests in one pass a batch."""

    @torch.inference_mode()
    def _batch(self, batch: Sequence[Request]) -> list[list[int]]:
        # The last token is read by nobody.
        sequences = [[*request.prompt_ids, *request.given[:-1]] for request in batch]
        pad = self.model.config.pad_token_id or 0
        ids, mask = left_pad(sequences, pad, self.model.device)
        states = self.body(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
            use_cache=False,
        )[0]
        lines, before, keys, positions = [], [], [], []
        for line, request in enumerate(batch):
            for t in request.drawn:
                lines.append(line)
                # Counted from the right, where all requests end together.
                before.append(ids.shape[1] - len(request.given) + t)
                keys.append(request.key)
                positions.append(t)
        answers = [list(request.given) for request in batch]
        self.counts.passes += 1
        self.counts.forwarded += ids.numel()
        self.counts.projected += len(lines)
        if lines:
            line_, before_, keys_, at = torch.tensor(
                [lines, before, keys, positions], dtype=torch.int64
            ).to(ids.device)
            draws = self.sampler(self.head, states[line_, before_], keys_, at)
            for line, t, token in zip(lines, positions, draws.tolist(), strict=True):
                answers[line][t] = token
        return answers

"""The one-pass engine: all draws from the reference prefix, in one forward pass.

Another distribution than left-to-right decoding: a drawn token never sees an earlier one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from selfgen.generation.decoding import ByBatch, Row, left_pad


class OnePass(ByBatch):
    """Fills rows in one pass a batch."""

    @torch.inference_mode()
    def _batch(self, batch: Sequence[Row]) -> list[list[int]]:
        # The last token is read by nobody.
        sequences = [[*row.prompt_ids, *row.given[:-1]] for row in batch]
        pad = self.model.config.pad_token_id or 0
        ids, mask = left_pad(sequences, pad, self.model.device)
        states = self.body(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
            use_cache=False,
        )[0]
        lines, before, keys, positions = [], [], [], []
        for line, row in enumerate(batch):
            for t in row.drawn:
                lines.append(line)
                # Counted from the right, where all rows end together.
                before.append(ids.shape[1] - len(row.given) + t)
                keys.append(row.key)
                positions.append(t)
        answers = [list(row.given) for row in batch]
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

"""The one-pass engine: all draws from the reference prefix, in one forward pass.

Another distribution than left-to-right decoding: a drawn token never sees an earlier one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from selfgen.generation.decoding import ByBatch, Request


class OnePass(ByBatch):
    """Fills requests in one pass a batch."""

    @torch.inference_mode()
    def _batch(self, batch: Sequence[Request]) -> list[list[int]]:
        # The last token is read by nobody.
        rows = [[*request.prompt_ids, *request.given[:-1]] for request in batch]
        device, lengths = self.reader.device, [len(row) for row in rows]
        ids = torch.tensor([token for row in rows for token in row], device=device)
        states = self.reader.states(ids, lengths)
        lines, before, keys, positions = [], [], [], []
        first = 0
        for line, request in enumerate(batch):
            for t in request.drawn:
                lines.append(line)
                before.append(first + len(request.prompt_ids) - 1 + t)
                keys.append(request.key)
                positions.append(t)
            first += lengths[line]
        answers = [list(request.given) for request in batch]
        self.counts.passes += 1
        self.counts.forwarded += len(ids)
        self.counts.projected += len(lines)
        if lines:
            before_, keys_, at = torch.tensor(
                [before, keys, positions], dtype=torch.int64
            ).to(device)
            draws = self.sampler(self.reader, states[before_], keys_, at)
            for line, t, token in zip(lines, positions, draws.tolist(), strict=True):
                answers[line][t] = token
        return answers

"""Two-pass scheduled sampling: context tokens of the model that is being trained.

Before each forward pass with gradient, one without reads the reference rows and gives the
model's own choice at every answer position. With probability ``beta`` (or what a schedule
makes of it at this step) that choice stands in the context; labels stay the reference.

Source: Mihaylova and Martins 2019, arXiv 1906.07651; onmt/trainer.py of
deep-spin/scheduled-sampling-transformers. The output of that decoder at index i predicts
token i + 1, and its code puts the prediction at index i in the place of token i. A causal
LM's own token at t comes from the state at t - 1, and that is taken here. Draws have the
addresses of the offline pass, so at equal weights the tokens are those of ``draw: onepass``
(docs/method.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from selfgen.core.errors import UserError
from selfgen.core.rng import row_key, uniform
from selfgen.core.spec import Sampling
from selfgen.generation.sampling import NoNumber, Sampler
from selfgen.mixing.schedules import rate_at
from selfgen.models import probe
from selfgen.training import batches
from selfgen.training.batches import IGNORE, TrainingRow
from selfgen.training.labels import LabelLoss
from selfgen.training.spec import TwoPass

MARKS = "marks"
"""Column of a row: ``(answer position, position in the row)`` of each token to replace."""


def marks(
    rows: Sequence[TrainingRow], rate: float, seed: int
) -> list[list[tuple[int, int]]]:
    """The positions of each row that take the model's token, each with probability
    ``rate``. The labelled positions are the answer; its last token is no context."""
    answers = [
        [place for place, label in enumerate(row["labels"]) if label != IGNORE][:-1]
        for row in rows
    ]
    addresses = [batches.address(row) for row in rows]
    keys = [row_key(seed, "mix", epoch, name) for name, epoch in addresses]
    counts = [len(answer) for answer in answers]
    draws = uniform(
        torch.tensor(keys).repeat_interleave(torch.tensor(counts)),
        torch.cat([torch.arange(count) for count in counts]),
    )
    drawn = (draws < rate).split(counts)
    return [
        [(t, answer[t]) for t in row.nonzero()[:, 0].tolist() if answer[t] > 0]
        for answer, row in zip(answers, drawn, strict=True)
    ]


class TwoPassLoss(LabelLoss):
    """``LabelLoss`` on rows that are mixed by the model itself, just before it reads them.

    Args:
        seed: of the draws.
        total: steps of the stage, for the schedule.
        banned: token ids that are never drawn.
    """

    def __init__(
        self,
        model: Any,
        spec: TwoPass,
        seed: int,
        total: int,
        banned: Sequence[int],
        mean: str = "token",
        smoothing: float = 0.0,
    ) -> None:
        super().__init__(model, mean, smoothing)
        self.spec, self.seed, self.total = spec, seed, total
        self.draw = Sampler(Sampling(spec.temperature), banned)

    def at_step(self, rows: list[TrainingRow], step: int) -> list[TrainingRow]:
        rate = rate_at(self.spec.schedule, self.spec.beta, step, self.total)
        marked = marks(rows, rate, self.seed)
        return [row | {MARKS: m} for row, m in zip(rows, marked, strict=True)]

    def collate(self, rows: list[TrainingRow], device: Any) -> dict[str, Any]:
        return super().collate(self.mix(rows, device), device)

    def forwarded(self, rows: list[TrainingRow]) -> int:
        """The first pass reads the rows in which something is replaced."""
        first = batches.tokens_of(row for row in rows if row[MARKS])
        return first + batches.tokens_of(rows)

    def mix(self, rows: list[TrainingRow], device: Any) -> list[TrainingRow]:
        """Rows of ``at_step`` with the model's choice at their marks: the first pass."""
        marked = [row for row in rows if row[MARKS]]
        if not marked:
            return rows
        drawn = iter(self._draw(marked, device))
        mixed = []
        for row in rows:
            ids = list(row["input_ids"])
            for _, place in row[MARKS]:
                ids[place] = next(drawn)
            mixed.append(row | {"input_ids": ids})
        return mixed

    @torch.no_grad()
    def _draw(self, rows: list[TrainingRow], device: Any) -> list[int]:
        """The model's tokens at the marks of ``rows``, one row after the other."""
        ids: list[int] = []
        before, keys, positions, owners = [], [], [], []
        for row in rows:
            key = row_key(self.seed, "token", row["epoch"], row["id"])
            for t, place in row[MARKS]:
                before.append(len(ids) + place - 1)
                keys.append(key)
                owners.append(row["id"])
                positions.append(t)
            ids += row["input_ids"]
        asked = torch.tensor([before, keys, positions], dtype=torch.long).to(device)
        # Without dropout, which would make a choice depend on the micro-batch.
        training = self.training
        self.eval()
        try:
            states = self.states(
                torch.tensor(ids, dtype=torch.long).to(device),
                [len(row["input_ids"]) for row in rows],
            )
        finally:
            self.train(training)
        try:
            drawn = self.draw(self.reader, states[asked[0]], asked[1], asked[2])
        except NoNumber as error:
            names = dict(zip(keys, owners, strict=True))
            raise UserError(
                f"training: the logits of {probe.name_of(self.model)} before token"
                f" {error.position} of the answer of {names[error.key]} are not finite"
            ) from None
        return drawn.tolist()

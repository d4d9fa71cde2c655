"""What is minimised on ordinary rows: the mean cross-entropy of their labels.

An objective is the module that the loop of ``causal.train`` runs forward. Those of
``preference``, ``two_pass`` and ``online`` derive from the one here and change what differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from selfgen.models import probe
from selfgen.training import batches
from selfgen.training.batches import Passes, TrainingRow


class LabelLoss(torch.nn.Module):
    """A causal LM with its loss: summed cross-entropy at the labelled positions.

    ``input_ids`` [tokens]: rows of ``lengths`` one after the other, not padded. The state
    at ``before[i]`` is asked for ``labels[i]``. How the model reads rows: ``models.probe``.
    ``mean``: of a step's loss over its labelled tokens, or over its rows, each of which is
    the mean over its own (``loss_mean`` of ``spec.Optimization``). ``smoothing``: share of
    each label that is spread over the vocabulary (``label_smoothing`` there). What is
    minimised is then ``smoothed_loss``; ``loss`` stays the cross-entropy of the labels.
    """

    names: tuple[str, ...] = ("loss",)
    """What ``means`` returns; the first is minimised, and all stand in the curve."""

    def __init__(self, model: Any, mean: str = "token", smoothing: float = 0.0) -> None:
        super().__init__()
        self.model, self.mean, self.smoothing = model, mean, smoothing
        if smoothing:
            self.names = ("smoothed_loss", "loss")
        self.reader = probe.reader(model, gradients=True)

    @property
    def _no_split_modules(self) -> list[str]:
        """Names of the layers that a sharded model gathers one by one."""
        return self.model._no_split_modules

    def get_input_embeddings(self) -> torch.nn.Module:
        """As of the model; what shards it asks for them."""
        return self.model.get_input_embeddings()

    def get_output_embeddings(self) -> torch.nn.Module:
        """As ``get_input_embeddings``."""
        return self.model.get_output_embeddings()

    def forward(
        self,
        input_ids: torch.Tensor,
        before: torch.Tensor,
        labels: torch.Tensor,
        lengths: list[int],
        weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Sums [names] over the labels, or without smoothing the only one []."""
        logits = self.logits(input_ids, before, lengths).float()
        if weights is None and not self.smoothing:
            return cross_entropy(logits, labels, reduction="sum")
        losses = cross_entropy(logits, labels, reduction="none")
        if self.smoothing:
            # The mean of -log p over the vocabulary, without another copy of all log p.
            even = logits.logsumexp(-1) - logits.mean(-1)
            smoothed = torch.lerp(losses, even, self.smoothing)
            losses = torch.stack([smoothed, losses.detach()])
        return losses.sum(-1) if weights is None else losses @ weights

    def logits(
        self, input_ids: torch.Tensor, before: torch.Tensor, lengths: list[int]
    ) -> torch.Tensor:
        """Logits [asked, vocabulary] of the states at ``before`` [asked]."""
        states = self.states(input_ids, lengths)
        return self.reader.logits(states[before])

    def states(self, input_ids: torch.Tensor, lengths: list[int]) -> torch.Tensor:
        """States [tokens, size] of packed rows."""
        return self.reader.states(input_ids, lengths)

    def begin(
        self, steps: Sequence[list[TrainingRow]], passes: Passes, accelerator: Any
    ) -> int:
        """What has to be known of all rows before the first step; returns the tokens that
        were forwarded for it."""
        return 0

    def at_step(self, rows: list[TrainingRow], step: int) -> list[TrainingRow]:
        """The rows of a step, with what ``collate`` needs to know of the step."""
        return rows

    def spent(self) -> dict[str, float]:
        """What the last ``at_step`` drew, and in which time: facts by the names that a pass
        has for them, to be summed over the steps."""
        return {}

    def groups(self, rows: list[TrainingRow]) -> list[list[TrainingRow]]:
        """The rows of a step, with those together that one forward pass must see.

        Raises UserError: a row that is none, or tokens that the model does not have.
        """
        for row in rows:
            batches.check(row)
            labels = [label for label in row["labels"] if label != batches.IGNORE]
            self.reader.check_ids(row["id"], row["input_ids"], labels)
        return [[row] for row in rows]

    def collate(self, rows: list[TrainingRow], device: Any) -> dict[str, Any]:
        """Arguments of ``forward`` for a micro-batch."""
        inputs = batches.collate(rows, device)
        if self.mean == "token":
            return inputs
        counts = [batches.labelled([row]) for row in rows]
        weights = [1 / count for count in counts for _ in range(count)]
        return inputs | {"weights": torch.tensor(weights, device=device)}

    def totals(self, rows: list[TrainingRow]) -> tuple[int, ...]:
        """What the sums of ``forward`` are divided by in a step of these rows."""
        if self.mean == "token":
            return (batches.labelled(rows),)
        return (sum(batches.labelled([row]) > 0 for row in rows),)

    def means(self, sums: torch.Tensor, totals: tuple[int, ...]) -> torch.Tensor:
        """A micro-batch's part [names] in the means of its step."""
        return sums.view(-1) / totals[0]

    def forwarded(self, rows: list[TrainingRow]) -> int:
        """Tokens that go through the model in a step of rows from ``at_step``."""
        return batches.tokens_of(rows)

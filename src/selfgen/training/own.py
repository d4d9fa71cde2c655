"""A loss of the user's own on ordinary rows: docs/own-method.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from selfgen.core.errors import UserError
from selfgen.training.batches import TrainingRow
from selfgen.training.labels import LabelLoss

Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""``(logits [labels, vocabulary] in fp32, labels [labels], inputs [labels])`` to the losses
[labels]. ``inputs``: the token that stands in the row where the label is due; it differs from
the label where the context was changed."""


class OwnLoss(LabelLoss):
    """The mean of a function's losses over the labels of a step, or over its rows.

    The curve has ``own_loss``, which is minimised, and ``loss``, the cross-entropy of the
    labels. A UserError says where the function returns anything else than a loss a label.
    """

    names = ("own_loss", "loss")

    def __init__(self, model: Any, function: Loss, mean: str = "token") -> None:
        super().__init__(model, mean)
        self.function = function

    def forward(  # type: ignore[override]  # its batches hold more: see collate
        self,
        input_ids: torch.Tensor,
        before: torch.Tensor,
        labels: torch.Tensor,
        lengths: list[int],
        inputs: torch.Tensor,
        weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Sums [2] over the labels: the function's losses, the cross-entropy."""
        logits = self.logits(input_ids, before, lengths).float()
        own = self.function(logits, labels, inputs)
        shape = getattr(own, "shape", None)
        if shape != labels.shape:
            found = type(own).__name__ if shape is None else f"shape {[*shape]}"
            raise UserError(
                f"loss_function: found {found}, allowed: a loss for each of the"
                f" {len(labels)} labels, as cross_entropy(..., reduction='none')"
            )
        with torch.no_grad():
            labelled = cross_entropy(logits, labels, reduction="none")
        losses = torch.stack([own.float(), labelled])
        return losses.sum(-1) if weights is None else losses @ weights

    def collate(self, rows: list[TrainingRow], device: Any) -> dict[str, Any]:
        found = super().collate(rows, device)
        return found | {"inputs": found["input_ids"][found["before"] + 1]}

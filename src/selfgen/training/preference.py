"""Pairs of answers: the loss of DPO, which is SPIN's when the model wrote the rejected one.

A pair is two rows of a step with the same id and epoch whose ``role`` is ``chosen`` and
``rejected``. The reference model is the starting weights: its log-probabilities are computed
once before training, so one model is in memory.

Source: Rafailov et al. 2023, eq. 7; Chen et al. 2024 (uclaml/SPIN,
spin/alignment/trainer.py, ``spin_loss``). Checked against TRL's DPOTrainer in
tests/golden/test_preference.py.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import cross_entropy, logsigmoid

from selfgen.core.errors import UserError
from selfgen.training import batches
from selfgen.training.batches import Passes, TrainingRow
from selfgen.training.labels import LabelLoss
from selfgen.training.spec import Preference

log = logging.getLogger(__name__)

CHOSEN, REJECTED = "chosen", "rejected"


def dpo(
    log_probs: torch.Tensor, reference: torch.Tensor, beta: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """``(loss, margin)`` [pairs] of DPO.

    ``log_probs`` and ``reference`` [pairs, 2] are the answers' summed log-probabilities,
    chosen and rejected, under the model and under the reference model. The margin is beta
    times the difference of their log-ratios.
    """
    ratios = log_probs - reference
    margin = beta * (ratios[:, 0] - ratios[:, 1])
    return -logsigmoid(margin), margin


class PairLoss(LabelLoss):
    """DPO's loss, the mean over the pairs of a step, and ``sft_weight`` times the mean
    cross-entropy over the labelled tokens of its chosen answers.

    The curve has ``margin``, the mean of beta times the difference of log-ratios, and
    ``accuracy``, the share of pairs where it is above 0.
    """

    names = ("loss", "margin", "accuracy")

    def __init__(self, model: Any, spec: Preference) -> None:
        super().__init__(model)
        self.spec = spec
        self.reference: dict[tuple[str, int, str], float] = {}

    def forward(  # type: ignore[override]  # its batches hold more: see collate
        self,
        input_ids: torch.Tensor,
        before: torch.Tensor,
        labels: torch.Tensor,
        lengths: list[int],
        counts: list[int],
        reference: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Sums over pairs [4]: DPO's loss, cross-entropy of the chosen, margin, accuracy.

        The rows are chosen, rejected, chosen, ...; ``reference`` [pairs, 2] as in ``dpo``.
        Without it the summed log-probabilities [rows] of the labels of each row, of which
        it has ``counts``.
        """
        logits = self.logits(input_ids, before, lengths)
        log_probs = -cross_entropy(logits.float(), labels, reduction="none")
        # Rows side by side, not index_add, whose order of summation varies on a GPU.
        number = torch.tensor(counts, device=log_probs.device)
        inside = torch.arange(max(counts), device=log_probs.device) < number[:, None]
        rows = log_probs.new_zeros(inside.shape).masked_scatter(inside, log_probs)
        log_probs = rows.sum(1)
        if reference is None:
            return log_probs
        log_probs = log_probs.view(-1, 2)
        loss, margin = dpo(log_probs, reference, self.spec.beta)
        margin = margin.detach()
        return torch.stack(
            [
                loss.sum(),
                -log_probs[:, 0].sum(),
                margin.sum(),
                (margin > 0).float().sum(),
            ]
        )

    @torch.no_grad()
    def begin(
        self, steps: Sequence[list[TrainingRow]], passes: Passes, accelerator: Any
    ) -> int:
        """The reference's log-probabilities, from the weights as they are now, in the
        forward passes of training, so that all margins start at 0. LoRA's adapters start
        as no change, so with them too it is the base model."""
        log.info(
            "log-probabilities of the pairs of %d steps before training", len(steps)
        )
        passes.module.eval()
        read = 0
        for rows in steps:
            self.reference |= passes.run(
                self.groups(rows),
                lambda parts, _: self._refer(parts, passes.module, accelerator),
            )
            read += batches.tokens_of(rows)
        passes.module.train()
        return read

    def _refer(
        self, parts: list[list[TrainingRow]], module: Any, accelerator: Any
    ) -> dict[tuple[str, int, str], float]:
        reference: dict[tuple[str, int, str], float] = {}
        for rows in parts:
            with accelerator.autocast():
                log_probs = module(**_counted(rows, accelerator.device))
            reference |= zip(map(_address, rows), log_probs.tolist(), strict=True)
        return reference

    def groups(self, rows: list[TrainingRow]) -> list[list[TrainingRow]]:
        """The pairs of a step.

        Raises:
            UserError: a pair without its other half, with one twice, or with an answer
                that has no labelled token.
        """
        pairs: dict[tuple[str, int], list[TrainingRow]] = {}
        super().groups(rows)  # refuses rows that are none
        for row in rows:
            pairs.setdefault(batches.address(row), []).append(row)
        for (name, epoch), pair in pairs.items():
            pair.sort(key=lambda row: str(row.get("role")))
            roles = [str(row.get("role")) for row in pair]
            answered = all(batches.labelled([row]) for row in pair)
            if roles != [CHOSEN, REJECTED] or not answered:
                raise UserError(
                    f"rows: the pair {name} (epoch {epoch}) of step {rows[0]['step']} is"
                    f" incomplete: found {' and '.join(roles)}, needed are one chosen"
                    " and one rejected answer with labelled tokens"
                )
        return list(pairs.values())

    def collate(self, rows: list[TrainingRow], device: Any) -> dict[str, Any]:
        reference = [self.reference[_address(row)] for row in rows]
        return _counted(rows, device) | {
            "reference": torch.tensor(reference, device=device).view(-1, 2)
        }

    def totals(self, rows: list[TrainingRow]) -> tuple[int, ...]:
        """Pairs, and labelled tokens of the chosen answers."""
        chosen = [row for row in rows if row["role"] == CHOSEN]
        return len(chosen), batches.labelled(chosen)

    def means(self, sums: torch.Tensor, totals: tuple[int, ...]) -> torch.Tensor:
        pairs, tokens = totals
        loss = sums[0] / pairs + self.spec.sft_weight * (sums[1] / tokens)
        return torch.stack([loss, sums[2] / pairs, sums[3] / pairs])


def _counted(rows: list[TrainingRow], device: Any) -> dict[str, Any]:
    counts = [batches.labelled([row]) for row in rows]
    return batches.collate(rows, device) | {"counts": counts}


def _address(row: TrainingRow) -> tuple[str, int, str]:
    return row["id"], row["epoch"], row["role"]

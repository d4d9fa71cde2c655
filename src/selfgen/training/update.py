"""One optimiser step, which refuses what is not finite: loss, gradient, weights, state."""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch.distributed.tensor import DTensor
from torch.profiler import record_function

from selfgen.core.errors import UserError
from selfgen.models import finite
from selfgen.training.batches import Passes, TrainingRow, labelled
from selfgen.training.labels import LabelLoss
from selfgen.training.spec import Optimization

SMALL = 1e15
"""The square of a smaller gradient is a number in fp32 by far."""

DATA = "rows to tensors"
"""What a profiler calls that part of a step."""


@dataclass(frozen=True)
class Update:
    """An optimiser step: gradients of the mean loss of its rows, and what follows.

    ``passes`` run ``objective`` forward as accelerate prepared it. ``precision``: of the
    forward passes.
    """

    accelerator: Any
    objective: LabelLoss
    passes: Passes
    optimizer: Any
    scheduler: Any
    keys: Optimization
    precision: str

    def __call__(self, rows: list[TrainingRow], number: int) -> dict[str, float]:
        """Change the weights; returns the step's entry in the curve.

        Raises UserError: loss, gradient, the new weights or the optimiser's state are not
        finite. So what is written after a step, a checkpoint or a result, is.
        """
        if labelled(rows) == 0:
            raise UserError(f"rows: step {number} has no labelled token")
        means = self._backward(rows)
        loss = means[self.objective.names[0]]
        if not math.isfinite(loss):
            raise self._failed(
                rows, f"the loss of step {number} is {loss}", self._rate()
            )
        parameters = self.optimizer.param_groups[0]["params"]
        limit = self.keys.max_grad_norm
        norm = float(self.accelerator.clip_grad_norm_(parameters, limit))
        if not math.isfinite(norm):
            raise self._failed(
                rows, f"the gradient of step {number} is {norm}", self._rate()
            )
        rate = self._rate()
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad(set_to_none=True)
        # Moments of AdamW are means of gradients and of their squares.
        small = self.keys.optimizer == "adamw" and min(norm, limit) < SMALL
        if broken := self._broken(state=not small):
            raise self._failed(rows, f"after step {number}, {broken}", rate)
        return {
            "step": number,
            **means,
            "learning_rate": rate,
            "grad_norm": norm,
        }

    def _rate(self) -> float:
        return self.scheduler.get_last_lr()[0]

    def _failed(self, rows: list[TrainingRow], what: str, rate: float) -> UserError:
        """The error that says ``what`` is not finite, after the step of which rows, and the
        keys that may mend it."""
        ids = ", ".join(row["id"] for row in rows)
        found = cure(self.keys, self.precision, rate)
        return UserError(f"training: {what}; its rows are {ids}; {found}")

    def _broken(self, state: bool) -> str | None:
        """What of the weights, or else of the optimiser's ``state`` where that is asked, is
        not finite; None where all is."""
        weights, moments = [], []
        for name, parameter in self.passes.module.named_parameters():
            if not parameter.requires_grad:
                continue
            name = name.removeprefix("module.").removeprefix("model.")
            weights.append((name, _own(parameter)))
            kept = self.optimizer.state.get(parameter, {}) if state else {}
            for key, value in kept.items():
                if key != "step" and isinstance(value, torch.Tensor):
                    moments.append((f"the optimizer's {key} of {name}", _own(value)))
        failed = not finite.all_finite([part for _, part in weights + moments])
        if not self._summed([failed])[0]:
            return None
        return self._told(weights) or self._told(moments)

    def _told(self, parts: list[tuple[str, torch.Tensor]]) -> str | None:
        found = finite.counts(parts)
        whole = self._summed([number for _, *pair in found for number in pair])
        pairs = zip(whole[::2], whole[1::2], strict=True)
        return finite.told(
            [(name, *pair) for (name, *_), pair in zip(found, pairs, strict=True)]
        )

    def _summed(self, numbers: list[int]) -> list[int]:
        """Of shared weights each process looks at its own part, and all say the same."""
        if not self.passes.share:
            return numbers
        own = torch.tensor(numbers, dtype=torch.long, device=self.accelerator.device)
        return self.accelerator.reduce(own, "sum").tolist()

    def _backward(self, rows: list[TrainingRow]) -> dict[str, float]:
        """Gradients of the mean loss; returns the means that the objective names."""
        accelerator, objective = self.accelerator, self.objective
        wrapped = self.passes.module
        totals = objective.totals(rows)

        def work(parts: list[list[TrainingRow]], counted: int) -> list[float]:
            means = torch.zeros(len(objective.names), device=accelerator.device)
            for number, part in enumerate(parts):
                # Gradients of whole copies meet once, after the last passes; kept until
                # then, those of shared weights would take the room that sharing saves.
                last = number == len(parts) - 1
                meet = last or self.passes.share
                with nullcontext() if meet else accelerator.no_sync(wrapped):
                    # Not one context for both: autocast keeps the weights that it has
                    # cast, and those cast in a pass without gradient may pass none on.
                    with accelerator.autocast(), record_function(DATA):
                        inputs = objective.collate(part, accelerator.device)
                    with accelerator.autocast():
                        sums = wrapped(**inputs)
                    share = objective.means(sums, totals) * (number < counted)
                    means += share.detach()
                    # They are averaged there; the totals are those of all processes.
                    accelerator.backward(share[0] * accelerator.num_processes)
            return accelerator.reduce(means, "sum").tolist()

        with record_function(DATA):
            groups = objective.groups(rows)
        means = self.passes.run(groups, work)
        return dict(zip(objective.names, means, strict=True))


def _own(tensor: torch.Tensor) -> torch.Tensor:
    """This process's part of a tensor that may be shared."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def cure(keys: Optimization, precision: str, rate: float | None = None) -> str:
    """The keys that may mend a training, with what they are; ``rate``: of the step."""
    here = "" if rate is None else f", here {rate:g}"
    lower = [
        f"stages.NAME.learning_rate (found {keys.learning_rate:g}{here})",
        f"max_grad_norm (found {keys.max_grad_norm:g})",
    ]
    if keys.weight_decay:
        lower.append(f"weight_decay (found {keys.weight_decay:g})")
    said = f"lower {', '.join(lower[:-1])} or {lower[-1]}"
    if keys.optimizer == "adamw":
        said += f", raise adam_epsilon (found {keys.adam_epsilon:g})"
    if precision != "fp32":
        said += f", or set precision: fp32 (found {precision})"
    return said

"""Online scheduled sampling: the rows of BASH, drawn by the model that is being trained.

Every ``every`` optimiser steps the model draws the mixed answers of the rows of those steps,
left to right on the mixed prefix, by the engines and with the addressed draws of the pass
that BASH makes beforehand (``generation.forced``). So the tokens of the first draw are those
of that pass, and with ``every`` as large as the stage the training is that of BASH's rows.
Labels stay the reference.

Source: scheduled sampling as Bengio et al. 2015, arXiv 1506.03099, have it, where the model
that is trained draws; the counterpart of the online method that appendix A.3 of arXiv
2410.14655 compares BASH with (docs/method.md).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from selfgen.core.errors import UserError
from selfgen.generation import engines, forced
from selfgen.generation.spec import Drawing
from selfgen.mixing.schedules import rate_at
from selfgen.training import batches
from selfgen.training.batches import IGNORE, Passes, TrainingRow
from selfgen.training.labels import LabelLoss
from selfgen.training.spec import Online


@dataclass
class Drawn:
    """Mixed answers by (id, epoch), for the steps before ``end``. A part of the checkpoint,
    for the weights that drew them are gone when a later step needs them."""

    end: int = -1
    answers: dict[tuple[str, int], list[int]] = field(default_factory=dict)

    def state_dict(self) -> dict[str, Any]:
        return dict(vars(self))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        vars(self).update(state)


class OnlineLoss(LabelLoss):
    """``LabelLoss`` on rows that the model mixes itself.

    Args:
        seed: of the draws.
        total: steps of the stage, for the schedule.
        banned: token ids that are never drawn.
        stops: those of them that end an answer, drawn early with ``eos: keep``.
    """

    def __init__(
        self,
        model: Any,
        spec: Online,
        seed: int,
        total: int,
        banned: Sequence[int],
        stops: Collection[int],
        mean: str = "token",
        smoothing: float = 0.0,
    ) -> None:
        super().__init__(model, mean, smoothing)
        self.spec, self.seed, self.total = spec, seed, total
        self.banned, self.stops = banned, stops
        self.drawing = Drawing(
            kind="forced", sampling=spec.sampling, beta=spec.beta, eos=spec.eos
        )
        self.drawn = Drawn()
        self.drew: dict[str, float] = {}
        # In fp32, and then, by the first draw, as it will be trained.
        with torch.autocast(model.device.type, enabled=False):
            engines.try_out(model)

    def begin(
        self, steps: Sequence[list[TrainingRow]], passes: Passes, accelerator: Any
    ) -> int:
        self.steps, self.accelerator = steps, accelerator
        self.first = steps[0][0]["step"] if steps else 0
        accelerator.register_for_checkpointing(self.drawn)
        return 0

    def at_step(self, rows: list[TrainingRow], step: int) -> list[TrainingRow]:
        self.drew = {} if step < self.drawn.end else self._draw(step, rows)
        mixed = []
        for row in rows:
            answer = self.drawn.answers[batches.address(row)]
            context = len(row["input_ids"]) - len(answer)
            mixed.append(row | {"input_ids": [*row["input_ids"][:context], *answer]})
        return mixed

    def spent(self) -> dict[str, float]:
        return self.drew

    def _draw(self, step: int, rows: list[TrainingRow]) -> dict[str, float]:
        """Mixed answers for the steps from ``step`` on; returns what they took.

        Of several processes each draws a part, and all get the whole.
        """
        from accelerate.utils import gather_object

        started = time.perf_counter()
        due = (step // self.spec.every + 1) * self.spec.every
        end = min(due, self.first + len(self.steps))
        references = [self._reference(row, step) for row in rows]
        for later in range(step + 1, end):
            references += [
                self._reference(row, later) for row in self.steps[later - self.first]
            ]
        accelerator = self.accelerator
        own = references[accelerator.process_index :: accelerator.num_processes]
        facts: dict[str, Any] = {}
        training = self.training
        self.eval()  # without dropout
        try:
            with accelerator.autocast():
                made = list(
                    forced.mixed(
                        self.model,
                        own,
                        self.drawing,
                        self.seed,
                        self.banned,
                        self.stops,
                        facts=facts,
                    )
                )
        finally:
            self.train(training)
        parts = gather_object([(made, facts["forwarded_tokens"])])
        made = [row for part, _ in parts for row in part]
        self.drawn.end = end
        self.drawn.answers = {(row["id"], row["epoch"]): row["tokens"] for row in made}
        changed = sum(
            a != b
            for row in references
            for a, b in zip(
                self.drawn.answers[row.id, row.epoch], row.answer_ids, strict=True
            )
        )
        return {
            "generated_tokens": sum(len(row["tokens"]) for row in made),
            "drawn_tokens": sum(sum(row["drawn"]) for row in made),
            "changed_tokens": changed,
            "generation_forwarded_tokens": sum(forwarded for _, forwarded in parts),
            "generation_seconds": time.perf_counter() - started,
        }

    def _reference(self, row: TrainingRow, step: int) -> forced.Reference:
        """Its labelled tokens are the answer; the rest, which is before them, the prompt.

        Raises UserError: it is none, or an unlabelled token stands behind a labelled one.
        """
        batches.check(row)
        name, epoch = batches.address(row)
        labels = row["labels"]
        start = next((t for t, label in enumerate(labels) if label != IGNORE), 0)
        if not start or IGNORE in labels[start:]:
            raise UserError(
                f"rows: labels of the row {name}: found others than those of an answer that"
                " ends the row behind a prompt, which online scheduled sampling draws"
            )
        rate = rate_at(self.spec.schedule, self.spec.beta, step, self.total)
        ids = row["input_ids"]
        answer = ids[start:]
        rates = [rate] * len(answer) if self.spec.schedule else None
        return forced.Reference(name, epoch, ids[:start], answer, rates)

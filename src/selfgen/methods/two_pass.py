"""Two-pass scheduled sampling (Mihaylova and Martins 2019): mixed while training."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from selfgen.methods.base import Cost, Trained
from selfgen.mixing import rows
from selfgen.mixing.mix import Mix, Mixing
from selfgen.mixing.rows import Fields
from selfgen.training import spec


class TwoPassRows(Mix):
    """The references, which the loss mixes in every step."""

    mix: Literal["two-pass"] = Field(
        description="Mixed while training, no pass before."
    )

    @property
    def reads_pass(self) -> bool:
        return False

    def make(self, mixing: Mixing, i: int, epoch: int) -> list[Fields]:
        example = mixing.examples[i]
        return [rows.plain(example.prompt_ids, example.answer_ids)]


class TwoPass(TwoPassRows, spec.TwoPass, Trained):
    """Two-pass scheduled sampling (Mihaylova and Martins 2019): own tokens of the model
    that is being trained, drawn from the reference prefix in every step."""

    mixed_by = TwoPassRows
    loss = "two-pass"
    takes_longer = True

    @model_validator(mode="after")
    def _moves(self) -> TwoPass:
        if self.schedule and self.schedule.over == "rounds":
            raise ValueError(
                "schedule.over: found 'rounds', allowed: only with rounds > 1"
            )
        return self

    def cost(self, prompt: int, answer: int) -> Cost:
        return Cost(prompt + answer, before=prompt + answer)


METHOD = TwoPass

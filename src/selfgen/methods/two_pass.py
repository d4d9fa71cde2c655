"""Two-pass scheduled sampling (Mihaylova and Martins 2019): mixed while training."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from selfgen.methods.base import Cost, Trained
from selfgen.mixing.mix import References
from selfgen.training import spec


class TwoPassRows(References):
    """The references, which the loss mixes in every step."""

    mix: Literal["two-pass"] = Field(
        description="Mixed while training, no pass before."
    )


class TwoPass(TwoPassRows, spec.TwoPass, Trained):
    """Two-pass scheduled sampling (Mihaylova and Martins 2019): own tokens of the model
    that is being trained, drawn from the reference prefix in every step."""

    mixed_by = TwoPassRows
    loss = "two-pass"
    takes_longer = True

    def cost(self, prompt: int, answer: int) -> Cost:
        return Cost(prompt + answer, before=prompt + answer)


METHOD = TwoPass

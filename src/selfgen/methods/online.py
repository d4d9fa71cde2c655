"""Online scheduled sampling: BASH's rows, drawn by the model that is being trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from selfgen.methods.base import Cost, Trained
from selfgen.mixing.mix import References
from selfgen.training import spec


class OnlineRows(References):
    """The references, which the loss mixes while training."""

    mix: Literal["online"] = Field(
        description="BASH's rows, drawn while training instead of by a pass before."
    )


class Online(OnlineRows, spec.Online, Trained):
    """Online scheduled sampling (Bengio et al. 2015): mixed context, reference labels, drawn
    left to right on the mixed prefix by the model that is being trained."""

    mixed_by = OnlineRows
    loss = "online"
    takes_longer = True

    def cost(self, prompt: int, answer: int) -> Cost:
        return Cost(prompt + answer, before=prompt, drawn=answer)


METHOD = Online

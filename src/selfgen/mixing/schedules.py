"""Mixing rates over training: the schedules of Bengio et al. 2015, section 2.4.

The paper gives the probability of the reference's token, eps_i, for the i-th mini-batch;
the mixing rate is 1 - eps_i. Here i counts per cent of a stage's steps, so that a schedule
means the same at every scale, or rounds. As in deep-spin/scheduled-sampling-transformers
(onmt/trainer.py), one floor holds for all kinds.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from selfgen.core.types import Keys, Number, Share

Kind = Literal["linear", "exponential", "inverse-sigmoid"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Schedule(Keys):
    """How the share of own tokens moves (Bengio et al. 2015). The reference's share at i is
    k - c i (`linear`), k^i (`exponential`) or k / (k + exp(i / k)) (`inverse-sigmoid`), and
    never below 1 - beta. A linear schedule with c < 0 lets the share of own tokens fall."""

    kind: Kind = Field(description="The formula.")
    k: Annotated[Number, Field(gt=0)] = Field(
        description="Its k; at most 1 where `exponential`, at least 1 where"
        " `inverse-sigmoid`."
    )
    c: Number = Field(default=0.0, description="Its slope; `linear` only.")
    over: Literal["steps", "rounds"] = Field(
        default="steps",
        description="What i counts: per cent of the stage's `steps`, or `rounds` from 0.",
    )

    @model_validator(mode="after")
    def _sound(self) -> Schedule:
        if self.kind == "exponential" and self.k > 1:
            raise ValueError(f"k: found {self.k:g}, allowed: at most 1 (exponential)")
        if self.kind == "inverse-sigmoid" and self.k < 1:
            raise ValueError(
                f"k: found {self.k:g}, allowed: at least 1 (inverse-sigmoid)"
            )
        if self.kind != "linear" and self.c:
            raise ValueError(f"c: found {self.c:g}, allowed: only with linear")
        return self


class MixingRate(Keys):
    """The share of own tokens in the context, and how it moves."""

    beta: Share = Field(
        default=0.25, description="Probability that a context token is the model's."
    )
    schedule: Schedule | None = Field(
        default=None, description="Moves the probability, with `beta` as its most."
    )

    @model_validator(mode="after")
    def _moves(self) -> MixingRate:
        over = self.schedule.over if self.schedule else None
        if over == "rounds" and getattr(self, "rounds", 1) == 1:
            raise ValueError(
                "schedule.over: found 'rounds', allowed: only with rounds > 1"
            )
        return self

    def in_round(self, number: int) -> float:
        """The most that the rate may be in a round, from 0."""
        if self.schedule and self.schedule.over == "rounds":
            return rate(self.schedule, self.beta, number)
        return self.beta

    def over_steps(self) -> Schedule | None:
        """The schedule that moves the rate within a round, if any."""
        moves = self.schedule is not None and self.schedule.over == "steps"
        return self.schedule if moves else None


def rate(schedule: Schedule | None, beta: float, i: float) -> float:
    """The mixing rate at ``i``, between 0 and ``beta``; ``beta`` where none is scheduled.

    linear: eps_i = k - c i; exponential: eps_i = k^i; inverse-sigmoid:
    eps_i = k / (k + exp(i / k)). A linear schedule with c < 0 lets the rate fall.
    """
    if schedule is None:
        return beta
    k = schedule.k
    if schedule.kind == "linear":
        reference = k - schedule.c * i
    elif schedule.kind == "exponential":
        reference = k**i
    else:
        # exp(i / k) / k may be huge; written so, it cannot overflow.
        reference = 1 / (1 + math.exp(min(i / k - math.log(k), 700.0)))
    return 1 - min(1.0, max(1 - beta, reference))


def rate_at(schedule: Schedule | None, beta: float, step: int, total: int) -> float:
    """The mixing rate of optimiser step ``step`` of a stage of ``total`` steps."""
    return rate(schedule, beta, 100 * step / total)

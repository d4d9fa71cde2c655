"""Mixing rates over training: the schedules of Bengio et al. 2015, section 2.4.

The paper gives the probability of the reference's token, eps_i, for the i-th mini-batch;
the mixing rate is 1 - eps_i. Here i counts per cent of a stage's steps, so that a schedule
means the same at every scale, or rounds. As in deep-spin/scheduled-sampling-transformers
(onmt/trainer.py), one floor holds for all kinds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """How the mixing rate moves (Bengio et al. 2015, section 2.4); mixing.schedules.

    ``kind``: ``linear``, ``exponential`` or ``inverse-sigmoid``, with their constants ``k``
    and ``c``. The reference's share never falls below 1 - beta.
    """

    kind: str
    k: float
    c: float = 0.0


KINDS = ("linear", "exponential", "inverse-sigmoid")


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
    elif schedule.kind == "inverse-sigmoid":
        # exp(i / k) / k may be huge; written so, it cannot overflow.
        reference = 1 / (1 + math.exp(min(i / k - math.log(k), 700.0)))
    else:
        raise ValueError(f"schedule: found {schedule.kind!r}, allowed: {KINDS}")
    return 1 - min(1.0, max(1 - beta, reference))


def rate_at(schedule: Schedule | None, beta: float, step: int, total: int) -> float:
    """The mixing rate of optimiser step ``step`` of a stage of ``total`` steps."""
    return rate(schedule, beta, 100 * step / total)

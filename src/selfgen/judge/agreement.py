"""How often a proxy prefers what a judge preferred, on judgements that were made before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selfgen.evaluation.statistics import Bootstrap, Interval, mean_interval

SIDES = ("model", "baseline")


@dataclass(frozen=True)
class Agreement:
    """Of one proxy with the judge; shares are 0..1.

    ``all``: same winner, over all pairs; ``model``, ``baseline``: over the pairs that the
    judge gave to each; ``balanced``: the mean of those two, .5 for a coin and for whoever
    always prefers one side. Half agrees where the proxy's scores are equal.
    """

    name: str
    all: Interval
    model: Interval
    baseline: Interval

    @property
    def balanced(self) -> float:
        return (self.model.value + self.baseline.value) / 2


def agreement(
    name: str,
    scores: Sequence[float],
    baseline_scores: Sequence[float],
    preferences: Sequence[float],
    how: Bootstrap,
) -> Agreement:
    """Agreement of scores with a judge's ``preferences``, from 1 (baseline) to 2 (model);
    pairs in the middle are left out."""
    same: dict[str, dict[str, float]] = {side: {} for side in SIDES}
    rows = zip(scores, baseline_scores, preferences, strict=True)
    for i, (own, other, preference) in enumerate(rows):
        if preference == 1.5:
            continue
        side = SIDES[preference < 1.5]
        won = 0.5 if own == other else float(own > other)
        same[side][str(i)] = won if side == "model" else 1 - won
    everything: Mapping[str, float] = same["model"] | same["baseline"]
    return Agreement(
        name,
        *(
            mean_interval({0: values}, how, (name, "agreement"))
            for values in (everything, same["model"], same["baseline"])
        ),
    )

"""How often a proxy prefers what a judge preferred, on judgements that were made before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from selfgen.core.errors import UserError
from selfgen.core.ties import won
from selfgen.evaluation.statistics import Interval, mean_interval
from selfgen.report import grid
from selfgen.report.grid import Grid, bracketed

SIDES = ("model", "baseline")

CSV = (
    *("proxy", "n", "agreement", "low", "high", "model", "n_model", "baseline"),
    *("n_baseline", "balanced"),
)


@dataclass(frozen=True)
class Agreement:
    """Of one proxy with the judge; shares are 0..1.

    ``all``: same winner, over all pairs; ``model``, ``baseline``: over the pairs that the
    judge gave to each; ``balanced``: the mean of those two, .5 for a coin and for whoever
    always prefers one side. Half agrees where the proxy's scores are a tie.
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
    confidence: float,
) -> Agreement:
    """Agreement of scores with a judge's ``preferences``, from 1 (baseline) to 2 (model);
    pairs in the middle are left out.

    Raises UserError: one side won none."""
    same: dict[str, dict[str, float]] = {side: {} for side in SIDES}
    rows = zip(scores, baseline_scores, preferences, strict=True)
    for i, (own, other, preference) in enumerate(rows):
        if preference == 1.5:
            continue
        side = SIDES[preference < 1.5]
        same[side][str(i)] = won(own, other) if side == "model" else won(other, own)
    if missing := [side for side in SIDES if not same[side]]:
        raise UserError(
            f"agreement: found no pair that the judge gave to the {missing[0]}, needed is"
            " one for each side"
        )
    model, baseline = same.values()
    shares = (
        # Nothing was trained here, so there is no seed.
        replace(mean_interval({0: values}, confidence, (name, "agreement")), seeds=0)
        for values in (model | baseline, model, baseline)
    )
    return Agreement(name, *shares)


def tabulate(
    agreements: Sequence[Agreement], title: str, confidence: float
) -> dict[str, str]:
    """``agreement.md`` and ``agreement.csv``."""
    made = Grid(
        name="agreement",
        title=title,
        header=[
            "Proxy",
            "Same winner, %",
            "of the pairs that the model won",
            "of those that the baseline won",
            "Mean of these two",
        ],
        rows=[
            [
                a.name,
                *map(bracketed, (a.all, a.model, a.baseline)),
                f"{100 * a.balanced:.1f}",
            ]
            for a in agreements
        ],
        notes=(
            f"n = {agreements[0].all.n} pairs: {agreements[0].model.n} won by the model,"
            f" {agreements[0].baseline.n} by the baseline. Brackets: {100 * confidence:g}%"
            " interval over pairs. A coin, and whoever always prefers one side, has 50 in the"
            " last column.",
        ),
    )
    lines = [
        [
            *(a.name, a.all.n, a.all.value, a.all.low, a.all.high),
            *(a.model.value, a.model.n, a.baseline.value, a.baseline.n, a.balanced),
        ]
        for a in agreements
    ]
    return {
        "agreement.md": grid.to_markdown(made),
        "agreement.csv": grid.to_csv(CSV, lines),
    }

"""How far proxies agree with a judge, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from selfgen.judge.agreement import Agreement
from selfgen.report import grid
from selfgen.report.grid import Grid, bracketed

CSV = (
    *("proxy", "n", "agreement", "low", "high", "model", "n_model", "baseline"),
    *("n_baseline", "balanced"),
)


def tabulate(
    found: Sequence[Agreement], title: str, confidence: float
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
            for a in found
        ],
        notes=(
            f"n = {found[0].all.n} pairs: {found[0].model.n} won by the model,"
            f" {found[0].baseline.n} by the baseline. Brackets: {100 * confidence:g}%"
            " interval over pairs. A coin, and whoever always prefers one side, has 50 in the"
            " last column.",
        ),
    )
    lines = [
        [
            *(a.name, a.all.n, a.all.value, a.all.low, a.all.high),
            *(a.model.value, a.model.n, a.baseline.value, a.baseline.n, a.balanced),
        ]
        for a in found
    ]
    return {
        "agreement.md": grid.to_markdown(made),
        "agreement.csv": grid.to_csv(CSV, lines),
    }

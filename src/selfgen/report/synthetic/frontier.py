"""The frontier: free-running against teacher-forced error along training.

A method that learns faster has less of both. At equal teacher-forced error the free-running
error tells how a model bears its own tokens, whatever the speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from selfgen.evaluation.statistics import Interval
from selfgen.report.grid import NOT_RUN, Box, Grid, bracketed, numbers
from selfgen.report.style import GREY, legend, panel, styled, trace
from selfgen.report.synthetic.figures import POINTS, Looks, grid_of
from selfgen.report.synthetic.numbers import Numbers, seeds_interval
from selfgen.report.synthetic.spec import AblationSpec

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

LEVELS = (0.4, 0.2, 0.1, 0.08)
"""Teacher-forced errors at which methods are compared."""


def at_level(curve: pandas.DataFrame, level: float) -> float | None:
    """Free-running error when the teacher-forced one first falls to ``level``, on the line
    between two measured steps; None where it does not.

    ``curve``: ``step``, ``forced_error`` and ``free_error`` of one seed of a method.
    """
    before: tuple[float, float] | None = None
    ordered = curve.sort_values("step")
    for forced, free in zip(
        ordered["forced_error"], ordered["free_error"], strict=True
    ):
        if forced <= level and before is None:
            return float(free) if forced == level else None
        if forced <= level and before:
            share = (before[0] - level) / (before[0] - forced)
            return float(before[1] + share * (free - before[1]))
        before = (forced, free)
    return None


def by_seed(curves: pandas.DataFrame, level: float) -> dict[str, dict[int, float]]:
    """``at_level`` of an experiment's curves: method -> seed -> error."""
    found: dict[str, dict[int, float]] = {}
    for (method, seed), curve in curves.groupby(["method", "seed"], sort=False):
        if (value := at_level(curve, level)) is not None:
            found.setdefault(str(method), {})[int(seed)] = value
    return found


@styled
def figure(
    curves: pandas.DataFrame, measured: Sequence[Numbers], seen: Looks
) -> Figure:
    """Mean errors over seeds along training, methods as lines; the diagonal has no excess."""
    experiments = [n.spec for n in measured if n.spec.curves]
    drawn, axes = grid_of(1, len(experiments), 5.6, 2.8)
    for column, experiment in enumerate(experiments):
        ax = axes[0][column]
        own = curves[curves["experiment"] == experiment.name]
        for method in experiment.curves:
            part = own[own["method"] == method].groupby("step")
            mean = 100 * part[["forced_error", "free_error"]].mean()
            points = (mean["forced_error"], mean["free_error"])
            trace(ax, points, seen[method], experiment.labels[method])
        ax.axline((0, 0), slope=1, color=GREY, linewidth=0.6, linestyle=":")
        ax.set_xlim(left=0)
        ax.set_ylim(bottom=0)
        panel(
            ax,
            POINTS["free_error"] if column == 0 else "",
            f"{POINTS['forced_error']}; training runs to the left",
        )
        ax.set_title(experiment.label)
    legend(drawn, axes)
    return drawn


CSV = (
    *("experiment", "method", "forced_error", "seeds", "free_error", "low", "high"),
    *("difference", "difference_low", "difference_high"),
)


def lines(
    curves: pandas.DataFrame, measured: Sequence[Numbers], confidence: float
) -> list[tuple[Any, ...]]:
    """Rows of ``CSV``: free-running errors at equal teacher-forced errors, and differences
    to the first method of the curves, paired by seed, with t-intervals over seeds."""
    found: list[tuple[Any, ...]] = []
    for experiment in (n.spec for n in measured):
        own = curves[curves["experiment"] == experiment.name]
        for level in LEVELS if experiment.curves else ():
            errors = by_seed(own, level)
            base = errors.get(experiment.curves[0], {})
            for method in experiment.curves:
                values = errors.get(method, {})
                paired = [x - base[seed] for seed, x in values.items() if seed in base]
                compared = method != experiment.curves[0]
                found.append(
                    (
                        *(experiment.name, method, level, len(values)),
                        *numbers(_over_seeds([*values.values()], confidence)),
                        *numbers(_over_seeds(paired, confidence) if compared else None),
                    )
                )
    return found


def _over_seeds(values: Sequence[float], confidence: float) -> Interval | None:
    """None of fewer than two seeds, which say nothing of others."""
    return seeds_interval(values, confidence) if len(values) > 1 else None


def table(
    rows: Sequence[tuple[Any, ...]], measured: Sequence[Numbers], spec: AblationSpec
) -> Grid:
    """``lines`` for people."""
    specs = {n.spec.name: n.spec for n in measured}
    shown: dict[tuple[str, str], list[Box]] = {}
    for name, method, _, seeds, *values in rows:
        mean, difference = (
            None if value is None else Interval(value, low, high, seeds, seeds)
            for value, low, high in (values[:3], values[3:])
        )
        labels = (specs[name].label, specs[name].labels[method])
        shown.setdefault(labels, [])
        shown[labels] += [
            bracketed(mean),
            bracketed(difference, sign="+"),
            str(seeds),
        ]
    percent = f"{100 * spec.confidence:g}%"
    header = ["Experiment", "Method"]
    for level in LEVELS:
        header += [f"Free-running at {100 * level:g}%", "difference", "seeds"]
    return Grid(
        name="frontier",
        title="Free-running error, %, where the teacher-forced error first falls to a level"
        " while a model is trained.",
        header=header,
        rows=[[*labels, *boxes] for labels, boxes in shown.items()],
        notes=[
            "Mean of the seeds that fall to the level between two measured steps, on the line"
            f" between them, with its {percent} t-interval over seeds; validation prompts."
            " Difference: to the first method, over the seeds that both have, in points."
            f" {NOT_RUN}: fewer than two seeds.",
            "Exploratory. The models that are compared have been trained for different"
            " numbers of steps, and at different learning rates.",
        ],
        left=2,
    )

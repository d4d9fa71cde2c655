"""Figures of the synthetic experiments. Columns: experiments; lines: methods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from selfgen.evaluation.exposure import rates
from selfgen.evaluation.statistics import Interval
from selfgen.report.style import (
    BLACK,
    FAMILIES,
    LIGHT,
    TEXT_GREY,
    Look,
    beside,
    dot,
    legend,
    listed,
    looks,
    note,
    panel,
    panels,
    styled,
    trace,
    upright,
)
from selfgen.report.synthetic.numbers import Line, Numbers, seeds_interval
from selfgen.report.synthetic.spec import ExperimentSpec
from selfgen.report.synthetic.tables import LENGTHS
from selfgen.report.tables.corrections import COLUMNS, TwoTurns, parts, turn_name

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Looks = Mapping[str, Look]
"""Of each method of the run, by its name."""

POINTS = {
    "exact": "exact match, %",
    "free_error": "free-running error, %",
    "forced_error": "teacher-forced error, %",
    "excess": "excess error, points",
}


def grid_of(
    rows: int, columns: int, width: float = 2.3, height: float = 1.9
) -> tuple[Figure, Any]:
    """An empty figure of panels, and its axes [rows][columns]."""
    return panels(rows, columns, (0.7 + width * columns, 0.7 + height * rows))


def look_of(experiments: Iterable[ExperimentSpec]) -> Looks:
    """Of all methods of a run: what has one name in several experiments has one look."""
    mixes: dict[str, str] = {}
    for experiment in experiments:
        for method in experiment.methods:
            mixes.setdefault(method, experiment.mixes.get(method, "none"))
    return looks(mixes)


@styled
def beta(
    experiments: Sequence[Numbers], seen: Looks, by_corruption: bool = False
) -> Figure:
    """Exact match and excess error over beta, or over the share of corrupted context."""
    figure, axes = grid_of(2, len(experiments))
    for column, numbers in enumerate(experiments):
        for row, measure in enumerate(("exact", "excess")):
            ax = axes[row][column]
            _dose(ax, numbers, measure, seen, by_corruption)
            panel(ax, POINTS[measure] if column == 0 else "")
        axes[0][column].set_title(numbers.spec.label)
        what = "context tokens that differ, %" if by_corruption else "beta"
        axes[1][column].set_xlabel(what)
    legend(figure, axes, 1.9, "Solid: own tokens. Dashed: random tokens.")
    return figure


def _dose(
    ax: Axes, numbers: Numbers, measure: str, seen: Looks, by_corruption: bool
) -> None:
    experiment, lines = numbers.spec, numbers.lines
    doses = {
        method: 100 * (lines[method, "direct"].corruption or 0.0)
        if by_corruption
        else experiment.betas[method]
        for method in experiment.dose()
        if (method, "direct") in lines
    }
    step = 0.015 * max(doses.values(), default=0.0)
    own = {experiment.baseline: 0.0} | {m: x - step for m, x in doses.items()}
    control = {experiment.baseline: 0.0} | {
        experiment.controls[m]: x + step
        for m, x in doses.items()
        if (experiment.controls.get(m, ""), "direct") in lines
    }
    for places, kind, dashes in ((own, "bash", "-"), (control, "random", "--")):
        means = {m: lines[m, "direct"].cells[measure].mean for m in places}
        values = [100 * mean.value for mean in means.values()]
        ax.plot([*places.values()], values, dashes, color=FAMILIES[kind][0], lw=1.0)
        for method, mean in means.items():
            label = experiment.labels[method]
            upright(ax, [places[method]], [mean], seen[method], label)


@styled
def variants(numbers: Numbers, seen: Looks) -> Figure:
    """Every method's difference to the baseline, in points, with its interval."""
    experiment = numbers.spec
    lines = [
        line
        for key, line in numbers.lines.items()
        if key[0] in experiment.compared and key[1] == "direct"
    ]
    measures = ("exact", "free_error", "excess")
    figure, axes = grid_of(1, len(measures), 1.9, 0.19 * len(lines))
    for ax, measure in zip(axes[0], measures, strict=True):
        ax.axvline(0, color=BLACK, linewidth=0.6, zorder=1)
        for y, line in enumerate(lines):
            if d := line.cells[measure].difference:
                dot(ax, y, d, seen[line.method], d.sign != 0)
        names = [experiment.labels[line.method] for line in lines]
        ax.set_yticks(range(len(lines)), names if ax is axes[0][0] else [])
        listed(ax, len(lines))
        ax.set_title(POINTS[measure].partition(",")[0])
        ax.set_xlabel("difference, points")
    note(figure, _against(experiment))
    return figure


def _against(experiment: ExperimentSpec) -> str:
    return (
        f"{experiment.label}, against {experiment.labels[experiment.baseline]}."
        " Filled: the interval excludes 0."
    )


@styled
def lengths(
    rows: Sequence[tuple[Any, ...]], experiments: Sequence[Numbers], seen: Looks
) -> Figure:
    """Exact match and excess error by the length of the prompt, with intervals side by side;
    ``rows`` of ``tables.LENGTHS``."""
    import pandas as pd

    frame = pd.DataFrame(rows, columns=list(LENGTHS))
    figure, axes = grid_of(2, len(experiments), 2.6)
    for column, numbers in enumerate(experiments):
        own = frame[frame["experiment"] == numbers.spec.name]
        places = {items: x for x, items in enumerate(sorted(own["items"].unique()))}
        shown = numbers.spec.shown()
        for row, measure in enumerate(("exact", "excess")):
            ax = axes[row][column]
            for number, method in enumerate(shown):
                part = own[(own["method"] == method) & (own["measure"] == measure)]
                xs = part["items"].map(places) + beside(number, len(shown))
                ends = part[["mean", "low", "high", "n", "seeds"]]
                values = [Interval(*one) for one in ends.itertuples(index=False)]
                upright(ax, xs, values, seen[method], numbers.spec.labels[method])
            panel(ax, POINTS[measure] if column == 0 else "", axis="y")
            ax.set_xticks(list(places.values()), [str(items) for items in places])
        axes[0][column].set_title(numbers.spec.label)
        axes[1][column].set_xlabel("items of the prompt")
    legend(figure, axes)
    return figure


@styled
def positions(
    frame: pandas.DataFrame, experiments: Sequence[Numbers], seen: Looks
) -> Figure:
    """Free-running (solid) and teacher-forced (dashed) error by position in the answers to
    the longest prompts."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = grid_of(1, len(experiments), height=2.2)
    for column, numbers in enumerate(experiments):
        experiment, ax = numbers.spec, axes[0][column]
        own = frame[
            (frame["experiment"] == experiment.name) & (frame["decoding"] == "direct")
        ]
        own = own[own["items"] == own["items"].max()]
        for number, method in enumerate(experiment.middle()):
            counts = own[own["method"] == method].groupby("position")
            part = rates(counts.sum(numeric_only=True))
            # The last positions are those of few answers.
            part = part[part["n"] >= 0.2 * part["n"].max()]
            for name, dashes in (("free_error", "-"), ("forced_error", "--")):
                label = experiment.labels[method] if dashes == "-" else None
                points = (part.index + 1, 100 * part[name])
                trace(ax, points, seen[method], label, dashes, number)
        panel(ax, "error, %" if column == 0 else "", "position in the answer")
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        ax.set_title(experiment.label)
    legend(figure, axes, title="Solid: free-running. Dashed: teacher-forced.")
    return figure


@styled
def curves(
    frame: pandas.DataFrame,
    measured: Sequence[Numbers],
    confidence: float,
    seen: Looks,
) -> Figure:
    """Exact match, free-running and excess error on validation prompts, over the steps: a row
    for each method beside the first."""
    pairs = [(n.spec, m) for n in measured for m in n.spec.curves[1:]]
    measures = ("exact", "free_error", "excess")
    figure, axes = grid_of(len(pairs), len(measures))
    for row, (experiment, method) in zip(axes, pairs, strict=True):
        own = frame[frame["experiment"] == experiment.name]
        own = own.assign(excess=own["free_error"] - own["forced_error"])
        for ax, measure in zip(row, measures, strict=True):
            for number, name in enumerate((experiment.curves[0], method)):
                by_step = own[own["method"] == name].groupby("step")[measure]
                means = [seeds_interval([*x], confidence) for _, x in by_step]
                # Side by side, a fiftieth of the way apart
                steps = [*by_step.groups]
                steps = [x + (number - 0.5) * 0.02 * steps[-1] for x in steps]
                look, label = seen[name], experiment.labels[name]
                ax.plot(
                    steps, [100 * x.value for x in means], color=look.colour, lw=1.0
                )
                upright(ax, steps, means, look, label)
            if measure != "excess":  # a share: its interval may say less than nothing
                ax.set_ylim(max(0, ax.get_ylim()[0]), min(100, ax.get_ylim()[1]))
            last = row is axes[-1]
            panel(ax, POINTS[measure], "step" if last else "")
        row[0].set_title(f"{experiment.label}: {experiment.labels[method]}", loc="left")
    legend(figure, axes, 2.2)
    return figure


@styled
def corrections(experiments: Sequence[tuple[Numbers, Line, TwoTurns]]) -> Figure:
    """What the second turn does: exact match of both turns, answers fixed and broken."""
    figure, axes = grid_of(1, 1, 4.6, 0.55 * max(1, len(experiments)))
    ax = axes[0][0]
    shown = (
        ("first", "turn 1 exact", "o", "white"),
        ("second", "turn 2 exact", "o", TEXT_GREY),
        ("fixed", "fixed, of the wrong", "^", TEXT_GREY),
        ("broken", "broken, of the right", "v", TEXT_GREY),
        ("edited", "edited", "s", LIGHT),
    )
    for y, (*_, turned) in enumerate(experiments):
        values = dict(zip(COLUMNS, parts(turned), strict=True))
        for i, (name, title, marker, inside) in enumerate(shown):
            if (value := values[name]) is None:
                continue
            at = y + 0.15 * (i - 2)
            ax.plot([100 * value.low, 100 * value.high], [at, at], color=TEXT_GREY)
            ax.plot(
                [100 * value.value],
                [at],
                marker,
                color=TEXT_GREY,
                markerfacecolor=inside,
                markersize=4.5,
                label=title if y == 0 else None,
            )
    ax.set_yticks(
        range(len(experiments)),
        [
            f"{n.spec.label}\n{turn_name(n.spec.labels[line.method], line.decoding)}"
            for n, line, _ in experiments
        ],
    )
    ax.set_ylim(len(experiments) - 0.5, -0.5)
    ax.set_xlabel("%")
    legend(figure, axes)
    return figure


@styled
def gain(numbers: Numbers, seen: Looks) -> Figure:
    """Exact match gained over the baseline beside the wall time of pass and training, every
    method by its name, the cheapest first."""
    experiment = numbers.spec
    lines = [
        line
        for (method, decoding), line in numbers.lines.items()
        if decoding == "direct"
        and (line.cells["exact"].difference or method == experiment.baseline)
    ]
    lines.sort(key=_seconds)
    figure, axes = grid_of(1, 2, 2.6, 0.19 * len(lines))
    points, times = axes[0]
    points.axvline(0, color=BLACK, linewidth=0.6, zorder=1)
    for y, line in enumerate(lines):
        look, d = seen[line.method], line.cells["exact"].difference
        at_zero = Interval(0.0, 0.0, 0.0, 0, 0)
        dot(points, y, d or at_zero, look, d is None or d.sign != 0)
        times.barh(y, _seconds(line), color=look.colour, height=0.5)
    for ax in (points, times):
        names = [experiment.labels[line.method] for line in lines]
        ax.set_yticks(range(len(lines)), names if ax is points else [])
        listed(ax, len(lines))
    points.set_xlabel("exact match, points")
    times.set_xlabel("pass and training, s")
    note(figure, _against(experiment))
    return figure


def _seconds(line: Line) -> float:
    return line.costs["pass_seconds"] + line.costs["train_seconds"]

"""Figures of the synthetic experiments. Columns: experiments; lines: methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from selfgen.evaluation.exposure import rates
from selfgen.evaluation.statistics import Interval
from selfgen.report.figures import (
    BLACK,
    GREY,
    LIGHT,
    OKABE_ITO,
    TEXT_GREY,
    legend,
    listed,
    panels,
    styled,
)
from selfgen.report.synthetic.numbers import Line, Numbers, seeds_interval
from selfgen.report.synthetic.spec import ExperimentSpec
from selfgen.report.synthetic.tables import LENGTHS
from selfgen.report.tables.corrections import COLUMNS, TwoTurns, parts, turn_name

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BASH, RANDOM = OKABE_ITO[0], OKABE_ITO[1]
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


@styled
def beta(experiments: Sequence[Numbers], by_corruption: bool = False) -> Figure:
    """Exact match and excess error over beta, or over the share of corrupted context."""
    figure, axes = grid_of(2, len(experiments))
    for column, numbers in enumerate(experiments):
        for row, measure in enumerate(("exact", "excess")):
            ax = axes[row][column]
            _dose(ax, numbers, measure, by_corruption)
            panel(ax, POINTS[measure] if column == 0 else "")
        axes[0][column].set_title(numbers.spec.label)
        what = "context tokens that differ, %" if by_corruption else "beta"
        axes[1][column].set_xlabel(what)
    legend(figure, axes)
    return figure


def _dose(ax: Axes, numbers: Numbers, measure: str, by_corruption: bool) -> None:
    experiment, lines = numbers.spec, numbers.lines
    base = lines[experiment.baseline, "direct"].cells[measure].mean
    for names, colour, marker, title in (
        (experiment.dose(), BASH, "o", "BASH"),
        (
            [experiment.controls.get(n) for n in experiment.dose()],
            RANDOM,
            "s",
            "random tokens",
        ),
    ):
        points: list[tuple[float, Interval]] = [(0.0, base)]
        for bash, name in zip(experiment.dose(), names, strict=True):
            if name is None or (name, "direct") not in lines:
                continue
            x = experiment.betas[bash]
            if by_corruption:
                x = 100 * (lines[bash, "direct"].corruption or 0.0)
            points.append((x, lines[name, "direct"].cells[measure].mean))
        _line(ax, points, colour, marker, title)
    ax.plot([0], [100 * base.value], marker="D", color=BLACK, markersize=5, zorder=4)


def _line(
    ax: Axes,
    points: Sequence[tuple[float, Interval]],
    colour: str,
    marker: str,
    title: str,
    line: str = "-",
) -> None:
    xs = [x for x, _ in points]
    mid, low, high = (
        [100 * getattr(i, n) for _, i in points] for n in ("value", "low", "high")
    )
    ax.fill_between(xs, low, high, color=colour, alpha=0.15, linewidth=0)
    ax.plot(
        xs,
        mid,
        line,
        color=colour,
        marker=marker,
        markersize=3.5,
        linewidth=1.2,
        label=title,
    )


@styled
def variants(numbers: Numbers) -> Figure:
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
            d = line.cells[measure].difference
            if d is None:
                continue
            colour = _colour(experiment, line.method)
            ax.plot([100 * d.low, 100 * d.high], [y, y], color=colour, linewidth=1.2)
            ax.plot(
                [100 * d.value],
                [y],
                "o",
                markersize=4,
                color=colour,
                markerfacecolor=colour if d.sign else "white",
            )
        names = [experiment.labels[line.method] for line in lines]
        ax.set_yticks(range(len(lines)), names if ax is axes[0][0] else [])
        listed(ax, len(lines))
        ax.set_title(POINTS[measure].partition(",")[0])
        ax.set_xlabel("difference, points")
    figure.supxlabel(
        f"{experiment.label}, against {experiment.labels[experiment.baseline]}."
        " Filled: the interval excludes 0.",
        fontsize=7,
        color=TEXT_GREY,
    )
    return figure


def _colour(experiment: ExperimentSpec, method: str) -> str:
    if method in experiment.betas:
        return BASH
    return RANDOM if method in experiment.controls.values() else GREY


@styled
def lengths(rows: Sequence[tuple[Any, ...]], experiments: Sequence[Numbers]) -> Figure:
    """Exact match and excess error by the length of the prompt; ``rows`` of
    ``tables.LENGTHS``."""
    import pandas as pd

    frame = pd.DataFrame(rows, columns=list(LENGTHS))
    figure, axes = grid_of(2, len(experiments))
    for column, numbers in enumerate(experiments):
        own = frame[frame["experiment"] == numbers.spec.name]
        for row, measure in enumerate(("exact", "excess")):
            ax = axes[row][column]
            for method, (colour, marker) in _looks(numbers.spec).items():
                part = own[(own["method"] == method) & (own["measure"] == measure)]
                points = [
                    (r.items, Interval(r.mean, r.low, r.high, r.n, r.seeds))
                    for r in part.sort_values("items").itertuples(index=False)
                ]
                _line(ax, points, colour, marker, numbers.spec.labels[method])
            panel(ax, POINTS[measure] if column == 0 else "")
            ax.set_xticks(sorted(own["items"].unique()))
        axes[0][column].set_title(numbers.spec.label)
        axes[1][column].set_xlabel("items of the prompt")
    legend(figure, axes)
    return figure


def _looks(experiment: ExperimentSpec) -> dict[str, tuple[str, str]]:
    """Colour and marker of the methods that are shown by length and position."""
    colours = [c for c in OKABE_ITO if c != RANDOM]
    looks = {experiment.baseline: (BLACK, "D")}
    for method in experiment.shown():
        if method in experiment.controls.values():
            looks[method] = (RANDOM, "s")
        elif method != experiment.baseline:
            looks[method] = (colours[(len(looks) - 1) % len(colours)], "o")
    return looks


@styled
def positions(frame: pandas.DataFrame, experiments: Sequence[Numbers]) -> Figure:
    """Free-running (lines) and teacher-forced (dashes) error by position in the answers
    to the longest prompts."""
    figure, axes = grid_of(1, len(experiments))
    for column, numbers in enumerate(experiments):
        experiment, ax = numbers.spec, axes[0][column]
        own = frame[
            (frame["experiment"] == experiment.name) & (frame["decoding"] == "direct")
        ]
        own = own[own["items"] == own["items"].max()]
        for method, colour in zip(
            experiment.middle(), (BLACK, BASH, RANDOM), strict=False
        ):
            counts = own[own["method"] == method].groupby("position")
            part = rates(counts.sum(numeric_only=True))
            # The last positions are those of few answers.
            part = part[part["n"] >= 0.2 * part["n"].max()]
            for name, line in (("free_error", "-"), ("forced_error", "--")):
                ax.plot(
                    part.index + 1,
                    100 * part[name],
                    line,
                    color=colour,
                    linewidth=1.2,
                    label=experiment.labels[method] if line == "-" else None,
                )
        panel(ax, "error, %" if column == 0 else "", "position in the answer")
        ax.set_title(experiment.label)
    legend(figure, axes)
    return figure


@styled
def curves(
    frame: pandas.DataFrame, measured: Sequence[Numbers], confidence: float
) -> Figure:
    """Exact match, free-running and excess error on validation prompts, over the steps."""
    experiments = [n.spec for n in measured if n.spec.curves]
    measures = ("exact", "free_error", "excess")
    figure, axes = grid_of(len(experiments), len(measures))
    for row, experiment in enumerate(experiments):
        own = frame[frame["experiment"] == experiment.name]
        own = own.assign(excess=own["free_error"] - own["forced_error"])
        for ax, measure in zip(axes[row], measures, strict=True):
            for i, method in enumerate(experiment.curves):
                part = own[own["method"] == method]
                points = [
                    (step, seeds_interval(values[measure].to_numpy(), confidence))
                    for step, values in part.groupby("step")
                ]
                colour = (BLACK, BASH, RANDOM, *OKABE_ITO[2:])[i]
                _line(ax, points, colour, "", experiment.labels[method])
            panel(ax, POINTS[measure], "step")
    legend(figure, axes)
    return figure


@styled
def corrections(experiments: Sequence[tuple[Numbers, Line, TwoTurns]]) -> Figure:
    """What the second turn does: exact match of both turns, answers fixed and broken."""
    figure, axes = grid_of(1, 1, 4.6, 0.55 * max(1, len(experiments)))
    ax = axes[0][0]
    shown = (
        ("first", "turn 1 exact", BLACK),
        ("second", "turn 2 exact", BASH),
        ("fixed", "fixed, of the wrong", OKABE_ITO[2]),
        ("broken", "broken, of the right", RANDOM),
        ("edited", "edited", GREY),
    )
    for y, (*_, turned) in enumerate(experiments):
        values = dict(zip(COLUMNS, parts(turned), strict=True))
        for i, (name, title, colour) in enumerate(shown):
            if (value := values[name]) is None:
                continue
            at = y + 0.15 * (i - 2)
            ax.plot([100 * value.low, 100 * value.high], [at, at], color=colour)
            ax.plot(
                [100 * value.value],
                [at],
                "o",
                color=colour,
                markersize=4,
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
def gain(experiments: Sequence[Numbers]) -> Figure:
    """Exact match gained over the baseline against the wall time of pass and training."""
    figure, axes = grid_of(1, len(experiments))
    for column, numbers in enumerate(experiments):
        ax, experiment = axes[0][column], numbers.spec
        for (method, decoding), line in numbers.lines.items():
            d = line.cells["exact"].difference
            if decoding != "direct" or (d is None and method != experiment.baseline):
                continue
            seconds = line.costs["pass_seconds"] + line.costs["train_seconds"]
            if d is None:
                ax.axhline(0, color=BLACK, linewidth=0.6)
                ax.plot([seconds], [0], "D", color=BLACK, markersize=5)
                continue
            colour = _colour(experiment, method)
            ax.plot(
                [seconds] * 2, [100 * d.low, 100 * d.high], color=colour, linewidth=0.8
            )
            ax.plot([seconds], [100 * d.value], "o", color=colour, markersize=3.5)
        panel(ax, "exact match, points" if column == 0 else "", "pass and training, s")
        ax.set_title(experiment.label)
        ax.set_xlim(left=0)
    return figure


def panel(ax: Axes, ylabel: str, xlabel: str = "") -> None:
    """Names and a grid."""
    ax.set_ylabel(ylabel)
    ax.set_xlabel(xlabel)
    ax.grid(color=LIGHT, linewidth=0.5)
    ax.set_axisbelow(True)

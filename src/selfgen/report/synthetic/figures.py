"""Figures of the synthetic experiments. Columns: experiments; lines: methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from selfgen.evaluation.exposure import rates
from selfgen.evaluation.statistics import Interval
from selfgen.report.style import (
    BLACK,
    BLUE,
    LIGHT,
    TEXT_GREY,
    VERMILION,
    Look,
    family,
    legend,
    lighter,
    listed,
    looks,
    panel,
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

AFTER = {"free-running": "-", "teacher-forced": "--"}
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
    for names, look, title in (
        (experiment.dose(), Look(BLUE, "o", "-"), "BASH"),
        (
            [experiment.controls.get(n) for n in experiment.dose()],
            Look(VERMILION, "s", "--"),
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
        _line(ax, points, look, title)
    ax.plot(
        [0],
        [100 * base.value],
        "D",
        color=BLACK,
        markersize=5,
        zorder=4,
        label=experiment.labels[experiment.baseline],
    )


def _line(
    ax: Axes, points: Sequence[tuple[float, Interval]], look: Look, title: str
) -> None:
    """Means on a line, with a band of their intervals."""
    xs = [x for x, _ in points]
    mid, low, high = (
        [100 * getattr(i, n) for _, i in points] for n in ("value", "low", "high")
    )
    ax.fill_between(xs, low, high, color=look.colour, alpha=0.15, linewidth=0)
    ax.plot(
        xs,
        mid,
        look.line,
        color=look.colour,
        marker=look.marker,
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
            colour, marker, _ = family(experiment.mixes.get(line.method, "none"))
            ax.plot([100 * d.low, 100 * d.high], [y, y], color=colour, linewidth=1.2)
            ax.plot(
                [100 * d.value],
                [y],
                marker,
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


@styled
def lengths(rows: Sequence[tuple[Any, ...]], experiments: Sequence[Numbers]) -> Figure:
    """Exact match and excess error by the length of the prompt, with intervals side by side;
    ``rows`` of ``tables.LENGTHS``."""
    import pandas as pd

    frame = pd.DataFrame(rows, columns=list(LENGTHS))
    figure, axes = grid_of(2, len(experiments), 2.6)
    betas = sorted({n.spec.betas[x] for n in experiments for x in n.spec.dose()})
    for column, numbers in enumerate(experiments):
        own = frame[frame["experiment"] == numbers.spec.name]
        places = {items: x for x, items in enumerate(sorted(own["items"].unique()))}
        shown = _looks(numbers.spec, betas)
        for row, measure in enumerate(("exact", "excess")):
            ax = axes[row][column]
            for number, (method, look) in enumerate(shown.items()):
                part = own[(own["method"] == method) & (own["measure"] == measure)]
                part = part.sort_values("items")
                beside = 0.7 * ((number + 0.5) / len(shown) - 0.5)
                xs = part["items"].map(places) + beside
                ax.vlines(xs, 100 * part["low"], 100 * part["high"], look.colour, lw=1)
                ax.plot(
                    xs,
                    100 * part["mean"],
                    look.marker,
                    color=look.colour,
                    markersize=3.5,
                    label=numbers.spec.labels[method],
                )
            panel(ax, POINTS[measure] if column == 0 else "", axis="y")
            ax.set_xticks(list(places.values()), [str(items) for items in places])
        axes[0][column].set_title(numbers.spec.label)
        axes[1][column].set_xlabel("items of the prompt")
    legend(figure, axes)
    return figure


def _looks(experiment: ExperimentSpec, betas: Sequence[float]) -> dict[str, Look]:
    """Of the methods that are shown by length: the higher beta is of all ``betas``, in
    rising order, the darker."""
    found = {experiment.baseline: Look(BLACK, "D", "-")}
    for method in experiment.dose():
        below = len(betas) - 1 - betas.index(experiment.betas[method])
        found[method] = Look(lighter(BLUE, 0.8 * below / len(betas)), "o", "-")
    found |= dict.fromkeys(experiment.middle()[2:], Look(VERMILION, "s", "--"))
    return {method: found[method] for method in experiment.shown()}


@styled
def positions(frame: pandas.DataFrame, experiments: Sequence[Numbers]) -> Figure:
    """Free-running (lines) and teacher-forced (dashes) error by position in the answers
    to the longest prompts."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = grid_of(1, len(experiments))
    for column, numbers in enumerate(experiments):
        experiment, ax = numbers.spec, axes[0][column]
        own = frame[
            (frame["experiment"] == experiment.name) & (frame["decoding"] == "direct")
        ]
        own = own[own["items"] == own["items"].max()]
        for method, colour in zip(
            experiment.middle(), (BLACK, BLUE, VERMILION), strict=False
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
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        ax.set_title(experiment.label)
    legend(figure, axes, more=AFTER)
    return figure


@styled
def curves(
    frame: pandas.DataFrame, measured: Sequence[Numbers], confidence: float
) -> Figure:
    """Exact match, free-running and excess error on validation prompts, over the steps: a row
    for each method beside the first."""
    pairs = [(n.spec, m) for n in measured for m in n.spec.curves[1:]]
    measures = ("exact", "free_error", "excess")
    figure, axes = grid_of(len(pairs), len(measures))
    for number, (row, (experiment, method)) in enumerate(zip(axes, pairs, strict=True)):
        last = number == len(pairs) - 1
        own = frame[frame["experiment"] == experiment.name]
        own = own.assign(excess=own["free_error"] - own["forced_error"])
        first = experiment.curves[0]
        mixes = {x: experiment.mixes.get(x, "none") for x in experiment.curves}
        look_of = looks(mixes)
        row[0].set_title(experiment.label, loc="left")
        for ax, measure in zip(row, measures, strict=True):
            for name in (first, method):
                part = own[own["method"] == name]
                points = [
                    (step, seeds_interval(values[measure].to_numpy(), confidence))
                    for step, values in part.groupby("step")
                ]
                plain = look_of[name]._replace(marker="", line="-")
                _line(ax, points, plain, experiment.labels[name])
            if measure != "excess":  # a share: its interval may say less than nothing
                ax.set_ylim(max(0, ax.get_ylim()[0]), min(100, ax.get_ylim()[1]))
            panel(ax, POINTS[measure], "step" if last else "")
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
def gain(experiments: Sequence[Numbers]) -> Figure:
    """Exact match gained over the baseline against the wall time of pass and training. Points
    are named where there is room."""
    figure, axes = grid_of(1, len(experiments), 3.4, 3.0)
    for column, numbers in enumerate(experiments):
        ax, experiment = axes[0][column], numbers.spec
        named, lines = [], [((0.0, 0.0), (1e9, 0.0))]
        for (method, decoding), line in numbers.lines.items():
            d = line.cells["exact"].difference
            if decoding != "direct" or (d is None and method != experiment.baseline):
                continue
            seconds = line.costs["pass_seconds"] + line.costs["train_seconds"]
            colour, marker, _ = family(experiment.mixes.get(method, "none"))
            value = 100 * d.value if d else 0.0
            if d is None:
                ax.axhline(0, color=BLACK, linewidth=0.6)
            else:
                ends = [100 * d.low, 100 * d.high]
                ax.plot([seconds] * 2, ends, color=colour, linewidth=0.8)
                lines.append(((seconds, ends[0]), (seconds, ends[1])))
            ax.plot([seconds], [value], marker, color=colour, markersize=4)
            named.append((seconds, value, experiment.labels[method]))
        panel(ax, "exact match, points" if column == 0 else "", "pass and training, s")
        ax.set_title(experiment.label)
        ax.set_xlim(left=0)
        _name(figure, ax, named, lines)
    return figure


Place = tuple[float, float]


def _name(
    figure: Figure,
    ax: Axes,
    points: Sequence[tuple[float, float, str]],
    lines: Sequence[tuple[Place, Place]],
) -> None:
    """Names beside points, the furthest from the middle first, where neither a point nor one
    of the ``lines``, nor another name is in the way."""
    middle = sorted(y for _, y, _ in points)[len(points) // 2]
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    figure.draw_without_rendering()
    inside = ax.get_window_extent(renderer).get_points()
    at = ax.transData.transform([(x, y) for x, y, _ in points])
    ends = ax.transData.transform([end for line in lines for end in line])
    taken = [np.array([place - 4, place + 4]) for place in at]
    taken += [
        np.sort(ends[i : i + 2], axis=0) + np.array([[-2], [2]])
        for i in range(0, len(ends), 2)
    ]
    sides = [(5, 0), (-5, 0), (5, 7), (-5, 7), (5, -7), (-5, -7)]
    for x, y, name in sorted(points, key=lambda p: -abs(p[1] - middle)):
        for right, up in sides:
            text = ax.annotate(
                name,
                (x, y),
                xytext=(right, up),
                textcoords="offset points",
                ha="left" if right > 0 else "right",
                va="center",
                fontsize=6,
                color=TEXT_GREY,
            )
            box = text.get_window_extent(renderer).get_points()
            fits = (inside[0] + 3 < box[0]).all() and (box[1] < inside[1] - 3).all()
            if fits and not any(
                (box[0] < b[1]).all() and (b[0] < box[1]).all() for b in taken
            ):
                taken.append(box)
                break
            text.remove()

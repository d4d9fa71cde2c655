"""The figures of a configuration; how they look: ``report.style``."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from selfgen.evaluation.statistics import Interval, mean_interval
from selfgen.report.collect import NO_MODEL, SHARED, in_order, several
from selfgen.report.measure import Line, Numbers, main_table
from selfgen.report.registry import (
    Rendering,
    Rows,
    by_method,
    frame,
    rows,
    score_frame,
)
from selfgen.report.spec import TableSpec
from selfgen.report.style import (
    BLACK,
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
from selfgen.report.tables.details import title as title_of
from selfgen.report.tables.steps import rates

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def look_of(spec: TableSpec[Any], shown: Iterable[str] = ()) -> dict[str, Look]:
    """Of all methods of the configuration, whichever a figure shows, and then of others that
    are shown, as the first sentence is."""
    names = dict.fromkeys([*spec.labels, *shown])
    return looks({name: spec.mixes.get(name, "none") for name in names})


@styled
def main_figure(
    scores: pandas.DataFrame, runs: pandas.DataFrame, spec: TableSpec[Any]
) -> Figure:
    """Score of every method on every task, with its interval, and the difference to the
    baseline, which the notes of the table name. It does not show why a method differs.

    (a) every method's score in every column, (b) its difference to the baseline. Lines are
    the intervals of the table. Scores in percent, differences in points. Without any
    comparison there is no (b).
    """
    table = main_table(scores, runs, spec)
    compared = [
        row for row in table.rows if any(s and s.difference for s in row.scores)
    ]
    columns = [(i, spec.columns[i]) for i in table.shown]
    percent = [f"{title_of(column.metric)}, %" for _, column in columns]
    parts = [("(a) Score", percent, "mean", list(table.rows))]
    if compared:
        title = f"(b) Against {spec.baseline_label}"
        points = ["difference, points"] * len(columns)
        parts.append((title, points, "difference", compared))
    heights = [len(rows) + 0.4 for *_, rows in parts]
    width = 0.3 + 0.065 * max(map(len, _names(table.rows))) + 1.5 * len(columns)
    figure, grid = panels(
        len(parts),
        len(columns),
        (max(4.6, width), 1.2 + 0.22 * sum(heights)),
        sharey="row",
        gridspec_kw={"height_ratios": heights},
    )
    for ax, (i, column) in zip(grid[0], columns, strict=True):
        dagger = f" {SHARED}" if column.shared_templates else ""
        title = textwrap.fill(f"{column.title}{dagger}", 22)
        ax.set_title(f"{title}\nn = {table.size(i)}")
    seen = look_of(spec, (row.method for row in table.rows))
    for axes, (title, units, value, lines) in zip(grid, parts, strict=True):
        for ax, (i, _), unit in zip(axes, columns, units, strict=True):
            _dots(ax, lines, i, value, seen)
            ax.set_xlabel(unit)
        axes[0].set_yticks(range(len(lines)), _names(lines))
        axes[0].text(
            -0.03,
            1.02,
            title,
            transform=axes[0].transAxes,
            ha="right",
            va="bottom",
            fontweight="bold",
        )
    note(figure, _explained(table))
    return figure


def _explained(table: Numbers) -> str:
    text = f"Lines: {table.spec.percent} intervals"
    if {line.seeds for line in table.rows} <= {0, 1}:
        text += " of one seed, which cover items only"
    text += "."
    if any(value is not None for value in table.detectable):
        text += " (b) Filled: the interval excludes 0."
    return text


def _dots(
    ax: Axes, rows: list[Line], i: int, name: str, seen: Mapping[str, Look]
) -> None:
    """A dot and its interval a row: the ``mean`` or ``difference`` of column ``i``."""
    from matplotlib.ticker import MaxNLocator

    if name == "difference":
        ax.axvline(0, color=BLACK, linewidth=0.6, zorder=1)
    for y, row in enumerate(rows):
        value = getattr(row.scores[i], name, None)
        if value is not None:
            dot(ax, y, value, seen[row.method], name == "mean" or value.sign != 0)
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    listed(ax, len(rows))


def _names(rows: Sequence[Line]) -> list[str]:
    many = several(row.model for row in rows)
    return [
        f"{row.label} ({row.model})" if many and row.model != NO_MODEL else row.label
        for row in rows
    ]


@dataclass(frozen=True)
class Stages:
    """The parent of each trained method, and those that are trained on pairs; the method of
    each checkpoint, of which a method of several rounds has one a round."""

    parents: dict[str, str]
    pairs: tuple[str, ...]
    methods: dict[str, str]

    def stage(self, method: str) -> int:
        """How many trainings the weights of a method are behind, its own included."""
        return 1 + self.stage(self.parents[method]) if method in self.parents else 0


@styled
def curves_figure(curves: pandas.DataFrame, spec: TableSpec[Stages]) -> Figure:
    """Training loss per labelled token, a row a stage, which begins at the step where the one
    before it ends; of pairs in rows of their own. Losses of methods are not comparable: their
    contexts differ.

    A column a task and model, a line a method.

    ``curves``: task, model, method, seed, step, loss, learning_rate. A line is the mean
    of the seeds, smoothed by a running mean over a twentieth of the steps.
    """
    curves = curves.assign(method=curves["method"].replace(spec.own.methods))
    staged: dict[tuple[bool, int], list[str]] = {}
    for method in curves["method"].unique():
        key = (method in spec.own.pairs, spec.own.stage(method))
        staged.setdefault(key, []).append(method)
    places = in_order(curves, ["task", "model"])
    many = several(model for _, model in places)
    losses = sorted(staged.items())
    # The more lines, the higher
    heights = [1.9 + 0.1 * len(methods) for _, methods in losses]
    figure, axes = panels(
        len(losses),
        len(places),
        (max(6.4, 0.4 + 2.2 * len(places)), 0.7 + sum(heights)),
        gridspec_kw={"height_ratios": heights},
    )
    for row, ((on_pairs, stage), methods) in zip(axes, losses, strict=True):
        for ax, (task, model) in zip(row, places, strict=True):
            every = curves[(curves["task"] == task) & (curves["model"] == model)]
            own = every[every["method"].isin(methods)]
            if own.empty:
                ax.remove()
                continue
            _losses(ax, own, every, spec)
            unit = "loss of a pair" if on_pairs else "loss of a labelled token"
            panel(ax, unit if ax is row[0] else "", "step", "y")
            name = f"{task}, {model}" if many else task
            ax.set_title(f"{name}, stage {stage}")
    legend(figure, axes, 1.9)
    return figure


def _losses(
    ax: Axes, own: pandas.DataFrame, every: pandas.DataFrame, spec: TableSpec[Stages]
) -> None:
    """The lines of one stage; ``every``: curves of all stages."""
    steps = (every.groupby("method")["step"].max() + 1).to_dict()
    seen = look_of(spec)
    for number, (method,) in enumerate(in_order(own, ["method"])):
        mean = own[own["method"] == method].groupby("step")["loss"].mean()
        window = max(1, math.ceil(len(mean) / 20))
        smooth = mean.rolling(window, center=True, min_periods=1).mean()
        points = (
            smooth.index + _before(method, spec.own.parents, steps),
            smooth.to_numpy(),
        )
        trace(ax, points, seen[method], spec.labels[method], number=number)


def _before(method: str, parents: Mapping[str, str], steps: Mapping[str, int]) -> int:
    """Steps that the weights had been trained for when a method's stage began."""
    parent = parents.get(method)
    return steps.get(parent, 0) + _before(parent, parents, steps) if parent else 0


@styled
def steps_figure(errors: Sequence[Rows], spec: TableSpec[Any]) -> Figure:
    """Errors of steps that a checker judges, by their place in the answer: after own steps
    (solid), and after the reference's (dashed).

    A panel a task and model; the declared methods and what they are compared with. Beside
    them, where the references have different numbers of steps, the excess by that number,
    with its interval.
    """
    from matplotlib.ticker import MaxNLocator

    found = by_method(spec, errors)
    shown = {
        key: by_seed
        for key, by_seed in found.items()
        if key[2] in {*spec.primary, spec.baseline_of(*key[:2])}
    }
    places = list(dict.fromkeys(key[:2] for key in shown))
    # Places whose references have different numbers of steps
    sized = list(
        dict.fromkeys(
            key[:2]
            for key, by_seed in shown.items()
            if len({row["due"] for part in by_seed.values() for row in part}) > 1
        )
    )
    columns = len(places) + len(sized)
    figure, axes = panels(1, columns, (max(4.6, 0.4 + 2.4 * columns), 2.9))
    seen = look_of(spec)
    many = several(model for _, model in places)
    for number, (ax, place) in enumerate(zip(axes[0], places + sized, strict=True)):
        name = ", ".join(place) if many else place[0]
        own = [(k[2], by_seed) for k, by_seed in shown.items() if k[:2] == place]
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        if number < len(places):
            for i, (method, by_seed) in enumerate(own):
                _by_place(ax, by_seed, seen[method], spec.labels[method], i)
            unit = "wrong steps, %" if ax is axes[0][0] else ""
            panel(ax, unit, "step of the answer", "y")
            ax.set_title(f"{name}: errors by place")
            continue
        for i, (method, by_seed) in enumerate(own):
            sizes, means = _by_size(by_seed, spec.confidence, (*place, method))
            at = [size + beside(i, len(own)) for size in sizes]
            upright(ax, at, means, seen[method], spec.labels[method])
        unit = "excess error, points" if number == len(places) else ""
        panel(ax, unit, "steps of the reference", "y")
        ax.set_title(f"{name}: excess by length")
    legend(
        figure,
        axes,
        1.9,
        "Solid: after own steps. Dashed: after the reference's."
        + " Excess: the first minus the second." * bool(sized),
    )
    return figure


def _by_place(
    ax: Axes, by_seed: Mapping[int, Rows], look: Look, label: str, number: int
) -> None:
    every = [row for rows in by_seed.values() for row in rows]
    for side, dashes in (("free", "-"), ("forced", "--")):
        wrong = [
            [bool(row[side][k]) for row in every if k < min(len(row[side]), row["due"])]
            for k in range(max(row["due"] for row in every))
        ]
        # The last places are those of few answers.
        kept = [x for x in wrong if len(x) >= 0.2 * len(wrong[0])]
        points = (
            range(1, len(kept) + 1),
            [100 * sum(x) / len(x) for x in kept],
        )
        trace(ax, points, look, label if side == "free" else None, dashes, number)


def _by_size(
    by_seed: Mapping[int, Rows], confidence: float, names: tuple[str, ...]
) -> tuple[list[int], list[Interval]]:
    """Numbers of steps of the references, and the mean excess of each."""
    sizes = sorted({row["due"] for rows in by_seed.values() for row in rows})
    return sizes, [
        mean_interval(
            {
                seed: {r["id"]: rates(r)["excess"] for r in rows if r["due"] == size}
                for seed, rows in by_seed.items()
            },
            confidence,
            (*names, str(size)),
        )
        for size in sizes
    ]


FIGURES: dict[str, Rendering[Figure]] = {
    "main": Rendering(main_figure, {"scores": score_frame, "runs": frame}),
    "curves": Rendering(curves_figure, {"curves": frame}, Stages),
    "step-errors": Rendering(steps_figure, {"errors": rows}),
}

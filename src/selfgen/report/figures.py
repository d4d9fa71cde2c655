"""The figures of a configuration; how they look: ``report.style``."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from selfgen.evaluation.statistics import mean_interval
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
    TEXT_GREY,
    Look,
    family,
    legend,
    listed,
    looks,
    panel,
    panels,
    styled,
)
from selfgen.report.tables.details import title as title_of
from selfgen.report.tables.steps import rates

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AFTER = {"after own steps": "-", "after the reference's": "--"}


def _looks(spec: TableSpec[Any], shown: Iterable[str] = ()) -> dict[str, Look]:
    """Of all methods of the configuration, whichever a figure shows, and then of others that
    are shown, such as rounds of a method."""
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
    for axes, (title, units, value, lines) in zip(grid, parts, strict=True):
        for ax, (i, _), unit in zip(axes, columns, units, strict=True):
            _dots(ax, lines, i, value, spec.mixes)
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
    figure.supxlabel(_explained(table), fontsize=7, color=TEXT_GREY)
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
    ax: Axes,
    rows: list[Line],
    i: int,
    name: str,
    mixes: Mapping[str, str],
) -> None:
    """A dot and its interval a row: the ``mean`` or ``difference`` of column ``i``."""
    from matplotlib.ticker import MaxNLocator

    if name == "difference":
        ax.axvline(0, color=BLACK, linewidth=0.6, zorder=1)
    for y, row in enumerate(rows):
        value = getattr(row.scores[i], name, None)
        if value is None:
            continue
        colour, marker, _ = family(mixes.get(row.method, "none"))
        filled = name == "mean" or value.sign != 0
        ax.plot(
            [100 * value.low, 100 * value.high],
            [y, y],
            color=colour,
            linewidth=1.2,
            solid_capstyle="round",
            zorder=2,
        )
        ax.plot(
            [100 * value.value],
            [y],
            marker=marker,
            markersize=4.5,
            markeredgecolor=colour,
            markerfacecolor=colour if filled else "white",
            markeredgewidth=1.0,
            zorder=3,
        )
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
    """The parent of each trained method, and those that are trained on pairs."""

    parents: dict[str, str]
    pairs: tuple[str, ...]


@styled
def curves_figure(curves: pandas.DataFrame, spec: TableSpec[Stages]) -> Figure:
    """Training loss per labelled token, and of pairs in a row of their own. A stage begins
    where its parent's ends. Losses of methods are not comparable: their contexts differ.

    A panel a task and model, a line a method.

    ``curves``: task, model, method, seed, step, loss, learning_rate. A line is the mean
    of the seeds, smoothed by a running mean over a twentieth of the steps.
    """
    shown = in_order(curves, ["task", "model"])
    many = len({model for _, model in shown}) > 1
    on_pairs = curves["method"].isin(spec.own.pairs)
    losses = [("loss of a labelled token", curves[~on_pairs])]
    if on_pairs.any():
        losses.append(("loss of a pair", curves[on_pairs]))
    size = (max(4.6, 0.4 + 2.2 * len(shown)), 0.7 + 2.0 * len(losses))
    figure, axes = panels(len(losses), len(shown), size)
    look_of = _looks(spec, curves["method"])
    for line, (unit, part) in zip(axes, losses, strict=True):
        for ax, (task, model) in zip(line, shown, strict=True):
            own = part[(part["task"] == task) & (part["model"] == model)]
            every = curves[(curves["task"] == task) & (curves["model"] == model)]
            steps = (every.groupby("method")["step"].max() + 1).to_dict()
            for (method,) in in_order(own, ["method"]):
                mean = own[own["method"] == method].groupby("step")["loss"].mean()
                window = max(1, math.ceil(len(mean) / 20))
                smooth = mean.rolling(window, center=True, min_periods=1).mean()
                look = look_of[method]
                ax.plot(
                    smooth.index + _before(method, spec.own.parents, steps),
                    smooth.to_numpy(),
                    color=look.colour,
                    linestyle=look.line,
                    linewidth=1.2,
                    label=spec.labels.get(method, method),
                )
            first, last = ax in axes[0], ax in axes[-1]
            panel(ax, unit if ax is line[0] else "", "step" if last else "", "y")
            if first:
                ax.set_title(f"{task}, {model}" if many else task)
    legend(figure, axes, 1.9)
    return figure


def _before(method: str, parents: Mapping[str, str], steps: Mapping[str, int]) -> int:
    """Steps that the weights had been trained for when a method's stage began."""
    parent = parents.get(method)
    return steps.get(parent, 0) + _before(parent, parents, steps) if parent else 0


@styled
def steps_figure(errors: Sequence[Rows], spec: TableSpec[Any]) -> Figure:
    """Errors of steps that a checker judges, by their place in the answer: after own steps
    (lines), and after the reference's (dashes).

    A panel a task and model; the declared methods and what they are compared with. Beside
    them, where the references have different numbers of steps, the excess by that number,
    with its interval.
    """
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
    figure, axes = panels(1, columns, (max(4.6, 0.4 + 2.4 * columns), 2.7))
    look_of = _looks(spec)
    by_place, by_size = axes[0][: len(places)], axes[0][len(places) :]
    for one, ax in [
        *zip(places, by_place, strict=True),
        *zip(sized, by_size, strict=True),
    ]:
        ax.set_title(", ".join(one) if several(m for _, m in places) else one[0])
        for key, by_seed in shown.items():
            if key[:2] != one:
                continue
            look = (look_of[key[2]].colour, spec.labels[key[2]])
            if ax in by_place:
                _by_place(ax, by_seed, *look)
            else:
                _by_size(ax, by_seed, *look, spec.confidence, key)
    for ax in by_place:
        first = ax is by_place[0]
        panel(ax, "wrong steps, %" if first else "", "step of the answer", "y")
    for ax in by_size:
        first = ax is by_size[0]
        panel(
            ax, "excess error, points" if first else "", "steps of the reference", "y"
        )
    legend(figure, axes, 1.9, AFTER)
    return figure


def _by_place(ax: Axes, by_seed: Mapping[int, Rows], colour: str, label: str) -> None:
    every = [row for rows in by_seed.values() for row in rows]
    for side, line in (("free", "-"), ("forced", "--")):
        wrong = [
            [bool(row[side][k]) for row in every if k < min(len(row[side]), row["due"])]
            for k in range(max(row["due"] for row in every))
        ]
        # The last places are those of few answers.
        kept = [x for x in wrong if len(x) >= 0.2 * len(wrong[0])]
        ax.plot(
            range(1, len(kept) + 1),
            [100 * sum(x) / len(x) for x in kept],
            line,
            color=colour,
            linewidth=1.2,
            label=label if side == "free" else None,
        )


def _by_size(
    ax: Axes,
    by_seed: Mapping[int, Rows],
    colour: str,
    label: str,
    confidence: float,
    names: tuple[str, ...],
) -> None:
    sizes = sorted({row["due"] for rows in by_seed.values() for row in rows})
    means = [
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
    ax.plot(sizes, [100 * m.value for m in means], color=colour, label=label)
    low, high = ([100 * getattr(m, side) for m in means] for side in ("low", "high"))
    ax.fill_between(sizes, low, high, color=colour, alpha=0.15, linewidth=0)


FIGURES: dict[str, Rendering[Figure]] = {
    "main": Rendering(main_figure, {"scores": score_frame, "runs": frame}),
    "curves": Rendering(curves_figure, {"curves": frame}, Stages),
    "step-errors": Rendering(steps_figure, {"errors": rows}),
}

"""The figures, and how all of them look.

Colours are those of Okabe and Ito (colour-blind safe); a method has the same colour in every
figure of a configuration. Equal inputs give equal bytes: no dates, no random ids, and the
font that ships with matplotlib.
"""

from __future__ import annotations

import functools
import io
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec

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
from selfgen.report.tables.details import title as title_of
from selfgen.report.tables.steps import rates

if TYPE_CHECKING:
    import pandas
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

Arguments = ParamSpec("Arguments")

KINDS = ("pdf", "svg", "png")
"""Endings of a figure's files."""

OKABE_ITO = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
)
BLACK, TEXT_GREY, GREY, LIGHT = "#000000", "#555555", "#8A8A8A", "#D9D9D9"
STYLE: dict[RcKeyType, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "text.parse_math": False,
    "svg.hashsalt": "selfgen",
    "savefig.dpi": 200,
}
METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
    "png": {"Software": None},
}


def styles(spec: TableSpec[Any]) -> dict[str, tuple[str, str]]:
    """Colour and line style of each labelled method.

    The baseline is black (of several candidates the first), base and lead-1 are grey; the
    others take the palette in alphabetical order, from the seventh on again with dashes.
    """
    fixed = {spec.baselines[0]: BLACK, "base": GREY, "lead-1": GREY}
    others = sorted(set(spec.labels) - set(fixed))
    cycle = [(colour, line) for line in ("-", "--", ":") for colour in OKABE_ITO]
    return {method: (colour, "-") for method, colour in fixed.items()} | {
        method: cycle[i % len(cycle)] for i, method in enumerate(others)
    }


def render(figure: Figure, kind: str) -> bytes:
    """The figure as a file: ``pdf``, ``svg`` or ``png``."""
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format=kind, metadata=METADATA[kind])
    return buffer.getvalue()


def styled(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Draws with the style of all figures."""

    @functools.wraps(draw)
    def drawn(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Figure:
        import matplotlib

        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawn


def panels(
    rows: int, columns: int, size: tuple[float, float], **options: Any
) -> tuple[Figure, Any]:
    """An empty figure of panels, and its axes [rows][columns]; ``size`` in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def legend(figure: Figure, axes: Any, width: float = 1.7) -> None:
    """Every labelled line once, below the panels; a name takes so many inches."""
    lines: dict[str, Artist] = {}
    for ax in axes.flat:
        handles, names = ax.get_legend_handles_labels()
        lines |= {n: h for n, h in zip(names, handles, strict=True) if n not in lines}
    columns = int(figure.get_size_inches()[0] / width)
    figure.legend(
        lines.values(),
        lines.keys(),
        loc="outside lower center",
        ncols=max(1, min(len(lines), columns)),
        frameon=False,
    )


@styled
def main_figure(
    scores: pandas.DataFrame, runs: pandas.DataFrame, spec: TableSpec[Any]
) -> Figure:
    """Score of every method on every task, with its interval, and the difference to
    continued SFT at equal steps and labelled tokens. It does not show why a method
    differs.

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
            _dots(ax, lines, i, value, styles(spec))
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
    if any(row.decoding != "direct" for row in table.rows):
        text += " Diamonds: corrected answers."
    return text


def _dots(
    ax: Axes,
    rows: list[Line],
    i: int,
    name: str,
    looks: Mapping[str, tuple[str, str]],
) -> None:
    """A dot and its interval a row: the ``mean`` or ``difference`` of column ``i``."""
    from matplotlib.ticker import MaxNLocator

    if name == "difference":
        ax.axvline(0, color=BLACK, linewidth=0.6, zorder=1)
    for y, row in enumerate(rows):
        value = getattr(row.scores[i], name, None)
        if value is None:
            continue
        colour, _ = looks.get(row.method, (GREY, "-"))
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
            marker="o" if row.decoding == "direct" else "D",
            markersize=4.5 if row.decoding == "direct" else 4,
            markeredgecolor=colour,
            markerfacecolor=colour if filled else "white",
            markeredgewidth=1.0,
            zorder=3,
        )
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    listed(ax, len(rows))


def listed(ax: Axes, rows: int) -> None:
    """Rows from the top to the bottom, on dotted lines instead of an axis."""
    ax.set_ylim(rows - 0.5, -0.5)
    ax.grid(axis="y", color=LIGHT, linewidth=0.5, linestyle=(0, (1, 2)))
    ax.set_axisbelow(True)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)


def _names(rows: Sequence[Line]) -> list[str]:
    many = several(row.model for row in rows)
    return [
        f"{row.label} ({row.model})" if many and row.model != NO_MODEL else row.label
        for row in rows
    ]


@styled
def curves_figure(curves: pandas.DataFrame, spec: TableSpec[Any]) -> Figure:
    """Training loss per labelled token. Losses of methods are not comparable: their
    contexts differ.

    Over steps: a panel a task and model, a line a method.

    ``curves``: task, model, method, seed, step, loss, learning_rate. A line is the mean
    of the seeds, smoothed by a running mean over a twentieth of the steps.
    """
    shown = in_order(curves, ["task", "model"])
    many = len({model for _, model in shown}) > 1
    size = (max(4.6, 0.4 + 2.4 * len(shown)), 2.7)
    figure, axes = panels(1, len(shown), size)
    looks = styles(spec)
    for ax, (task, model) in zip(axes[0], shown, strict=True):
        own = curves[(curves["task"] == task) & (curves["model"] == model)]
        for (method,) in in_order(own, ["method"]):
            mean = own[own["method"] == method].groupby("step")["loss"].mean()
            window = max(1, math.ceil(len(mean) / 20))
            smooth = mean.rolling(window, center=True, min_periods=1).mean()
            colour, line = looks.get(method, (GREY, "-"))
            ax.plot(
                smooth.index,
                smooth.to_numpy(),
                color=colour,
                linestyle=line,
                linewidth=1.3,
                label=spec.labels.get(method, method),
            )
        ax.grid(axis="y", color=LIGHT, linewidth=0.5)
        ax.set_axisbelow(True)
        ax.set_title(f"{task}, {model}" if many else task)
        ax.set_xlabel("step")
    axes[0][0].set_ylabel("training loss, running mean")
    legend(figure, axes, 1.9)
    return figure


@styled
def steps_figure(errors: Sequence[Rows], spec: TableSpec[Any]) -> Figure:
    """Errors of steps that a checker judges, by their place in the answer: after own steps
    (lines), and after the reference's (dashes).

    A panel a task and model; the declared methods and what they are compared with. Below,
    where the references have different numbers of steps, the excess by that number, with its
    interval.
    """
    found = by_method(spec, errors)
    shown = {
        key: by_seed
        for key, by_seed in found.items()
        if key[2] in {*spec.primary, spec.baseline_of(*key[:2])}
    }
    places = list(dict.fromkeys(key[:2] for key in shown))
    sizes = {row["due"] for s in shown.values() for part in s.values() for row in part}
    by_size = len(sizes) > 1
    size = (max(4.6, 0.4 + 2.4 * len(places)), 2.7 + 2.0 * by_size)
    figure, axes = panels(1 + by_size, len(places), size)
    looks = styles(spec)
    for column, place in enumerate(places):
        axes[0][column].set_title(
            ", ".join(place) if several(m for _, m in places) else place[0]
        )
        for key, by_seed in shown.items():
            if key[:2] == place:
                look = (looks.get(key[2], (GREY, "-"))[0], spec.labels[key[2]])
                _by_place(axes[0][column], by_seed, *look)
                if by_size:
                    _by_size(axes[1][column], by_seed, *look, spec.confidence, key)
    titles = [("step of the answer", "wrong steps, %\n(dashes: after reference)")]
    titles.append(("steps of the reference", "excess error, points"))
    for line, (x, y) in zip(axes, titles, strict=False):
        line[0].set_ylabel(y)
        for ax in line:
            ax.set_xlabel(x)
            ax.grid(axis="y", color=LIGHT, linewidth=0.5)
            ax.set_axisbelow(True)
    legend(figure, axes, 1.9)
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
    "curves": Rendering(curves_figure, {"curves": frame}),
    "step-errors": Rendering(steps_figure, {"errors": rows}),
}

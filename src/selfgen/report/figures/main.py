"""The main result with its intervals."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from selfgen.report.collect import NO_MODEL, SHARED
from selfgen.report.measure import Line, Numbers, main_table
from selfgen.report.registry import Plot, frame, score_frame
from selfgen.report.spec import TableSpec
from selfgen.report.style import BLACK, GREY, LIGHT, STYLE, TEXT_GREY, styles
from selfgen.report.tables.details import TITLES

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(
    scores: pandas.DataFrame, runs: pandas.DataFrame, spec: TableSpec[Any]
) -> Figure:
    """``plot`` of the numbers of the main table."""
    return plot(main_table(scores, runs, spec))


def plot(table: Numbers) -> Figure:
    """(a) every method's score in every column, (b) its difference to the baseline.

    Lines are the intervals of the table. Scores in percent, differences in points.
    Without any comparison there is no (b).
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    spec = table.spec
    compared = [
        row for row in table.rows if any(s and s.difference for s in row.scores)
    ]
    percent = [f"{TITLES[column.metric]}, %" for column in spec.columns]
    parts = [("(a) Score", percent, "mean", list(table.rows))]
    if compared:
        baseline = spec.labels.get(spec.baseline, spec.baseline)
        title = f"(b) Against {baseline}"
        points = ["difference, points"] * len(spec.columns)
        parts.append((title, points, "difference", compared))
    heights = [len(rows) + 0.4 for *_, rows in parts]
    width = 0.3 + 0.065 * max(map(len, _names(table.rows))) + 1.5 * len(spec.columns)
    with matplotlib.rc_context(STYLE):
        figure = Figure(
            figsize=(max(4.6, width), 1.2 + 0.22 * sum(heights)),
            layout="constrained",
        )
        FigureCanvasAgg(figure)
        grid = figure.subplots(
            len(parts),
            len(spec.columns),
            squeeze=False,
            sharey="row",
            gridspec_kw={"height_ratios": heights},
        )
        for ax, (i, column) in zip(grid[0], enumerate(spec.columns), strict=True):
            dagger = f" {SHARED}" if column.shared_templates else ""
            title = textwrap.fill(f"{column.title}{dagger}", 22)
            ax.set_title(f"{title}\nn = {table.size(i)}")
        for axes, (title, units, value, rows) in zip(grid, parts, strict=True):
            for i, ax in enumerate(axes):
                _dots(ax, rows, i, value, styles(spec))
                ax.set_xlabel(units[i])
            _name_rows(axes[0], rows, title)
        figure.supxlabel(_legend(table), fontsize=7, color=TEXT_GREY)
    return figure


def _legend(table: Numbers) -> str:
    text = f"Lines: {table.spec.percent} intervals."
    if table.tests:
        text += " (b) Filled: the interval excludes 0."
    if any(row.decoding == "corrected" for row in table.rows):
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
    _finish(ax, len(rows))


def _finish(ax: Axes, rows: int) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.set_ylim(rows - 0.5, -0.5)
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    ax.grid(axis="y", color=LIGHT, linewidth=0.5, linestyle=(0, (1, 2)))
    ax.set_axisbelow(True)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)


def _names(rows: Sequence[Line]) -> list[str]:
    many = len({row.model for row in rows} - {NO_MODEL}) > 1
    return [
        f"{row.label} ({row.model})" if many and row.model != NO_MODEL else row.label
        for row in rows
    ]


def _name_rows(ax: Axes, rows: list[Line], title: str) -> None:
    ax.set_yticks(range(len(rows)), _names(rows))
    ax.text(
        -0.03,
        1.02,
        title,
        transform=ax.transAxes,
        ha="right",
        va="bottom",
        fontweight="bold",
    )


FIGURE = Plot(draw, {"scores": score_frame, "runs": frame})

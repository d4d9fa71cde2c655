"""The figures of a measurement: own contexts beside the reference's, and planted errors."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from selfgen.measures.base import Measure, curve
from selfgen.measures.registry import PLACES
from selfgen.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from selfgen.report.measured.found import Found, Number

READ = 64
"""Places that a figure shows at most."""

TITLE = 20
"""Characters of a panel's title on one line."""

ROW = 56
"""Of a row's."""

ACROSS = 3
"""Panels beside each other at most."""

COLOURS = (style.INDIGO, style.OLIVE, style.ROSE)
DASHES = ("-", "--", ":")


@style.styled
def places(found: Found, name: str) -> Figure | None:
    """One of ``registry.PLACES``: a panel a model; None where nothing was read of it."""
    from matplotlib.ticker import MaxNLocator

    title, unit, lines = PLACES[name]
    drawn = {
        model: [curve(line, rows, READ, found.confidence) for line in lines]
        for model, rows in found.rows.items()
    }
    drawn = {
        m: curves for m, curves in drawn.items() if any(len(c) > 1 for c in curves)
    }
    if not drawn:
        return None
    across = min(ACROSS, len(drawn))
    down = -(-len(drawn) // across)
    size = (max(4.4, 3.2 * across), 0.8 + 2 * down)
    figure, axes = style.panels(down, across, size, sharey=True)
    for ax in axes.flat[len(drawn) :]:
        ax.remove()
    for n, (model, curves) in enumerate(drawn.items()):
        ax = axes.flat[n]
        for number, (line, points) in enumerate(zip(lines, curves, strict=True)):
            at = range(1, len(points) + 1)
            look = {"color": COLOURS[number], "ls": DASHES[number], "lw": 1.2}
            ax.plot(at, [p.value for p in points], label=line.label, **look)
            low, high = [p.low for p in points], [p.high for p in points]
            if unit == "share":  # of which nothing is below 0 or above 1
                low = [max(0.0, x) for x in low]
                high = [min(1.0, x) for x in high]
            ax.fill_between(at, low, high, color=COLOURS[number], alpha=0.15, lw=0)
        ax.set_title(model, loc="left")
        beside, below = n % across, n + across < len(drawn)
        where = "lag" if name.startswith("planted") else "place"
        style.panel(ax, "" if beside else unit, "" if below else where)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    style.legend(figure, axes, 2.2)
    return figure


@style.styled
def differences(found: Found) -> Figure | None:
    """The first model minus each other, in units of each measure's half interval, so that
    what lies beyond 1 is surely different; None without another."""
    others = list(found.rows)[1:]
    numbers = [n for n in found.numbers if _half(n) and n.measure.better]
    if not others or not numbers:
        return None
    titles = list({n.measure.name: n.measure for n in numbers}.values())
    height = 0.9 + 0.3 * len(titles)
    figure, axes = style.panels(1, len(others), (4.2 + 1.6 * len(others), height))
    for ax, other in zip(axes.flat, others, strict=True):
        _panel(ax, titles, [n for n in numbers if n.model == other])
        ax.set_title(textwrap.fill(f"minus {other}", TITLE), loc="left")
        if ax is not axes.flat[0]:
            ax.set_yticklabels([])
    figure.suptitle(found.first, x=0.01, ha="left", fontweight="bold")
    figure.supxlabel("difference over half its interval")
    return figure


def _half(number: Number) -> float:
    gap = number.difference
    return (gap.high - gap.low) / 2 if gap is not None and gap.high > gap.low else 0.0


def _panel(ax: Axes, measures: list[Measure], numbers: list[Number]) -> None:
    style.listed(ax, len(measures))
    rows = {measure.name: row for row, measure in enumerate(measures)}
    ax.axvspan(-1, 1, color=style.LIGHT, alpha=0.5, lw=0)
    for number in numbers:
        gap, half = number.difference, _half(number)
        if gap is None:
            continue
        better = gap.value * number.measure.better
        sure = abs(gap.value) > half
        colour = style.GREY if not sure else style.INDIGO if better > 0 else style.ROSE
        at = max(-6.0, min(6.0, gap.value / half))
        ax.plot([at], [rows[number.measure.name]], "o", color=colour, ms=4)
    ax.set_xlim(-6.5, 6.5)
    titles = [textwrap.fill(measure.title, ROW) for measure in measures]
    ax.set_yticks(range(len(measures)), titles)

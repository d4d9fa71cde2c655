"""The figures of a measurement: own contexts beside the reference's, and planted errors."""

from __future__ import annotations

import textwrap
from itertools import pairwise
from typing import TYPE_CHECKING

from selfgen.measures import oracle
from selfgen.measures.base import Measure, curve, interval
from selfgen.measures.registry import PLACES
from selfgen.report import style

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from selfgen.evaluation.statistics import Interval
    from selfgen.report.measured.found import Found, Number

READ = 64
"""Places that a figure shows at most."""

TITLE = 20
"""Characters of a panel's title on one line."""

ROW = 56
"""Of a row's."""

ACROSS = 3
"""Panels beside each other at most."""

LARGE = 2.0
"""Nats of an effect from which on its axis is logarithmic above 1."""

FAR = 6.0
"""Where differences that lie farther stand, as arrows."""

COLOURS = (style.INDIGO, style.OLIVE, style.ROSE)
DASHES = ("-", "--", ":")


SUMMED = {"r_free": "R, after its own tokens", "g_free": "G, after the reference's"}
"""Measures whose curve is that of the paper on accumulated error."""

TITLES = {
    **{name: title for name, (title, _, _) in PLACES.items()},
    "accumulated": "Errors against the oracle, summed up to a place",
    "differences": "Differences to the other models",
}
"""Figures in the order in which they are looked at."""


def draw(found: Found, name: str) -> Figure | None:
    """One of ``TITLES``; None where nothing was read of it."""
    others = {"accumulated": accumulated, "differences": differences}
    return others[name](found) if name in others else places(found, name)


@style.styled
def accumulated(found: Found) -> Figure | None:
    """R(l) and G(l) of answers as they end, by l (Arora et al. 2022, who draw the ratio)."""
    curves: dict[str, list[list[Interval]]] = {m: [[], []] for m in found.rows}
    for length in range(1, found.length + 1):
        measures = {measure.name: measure for measure in oracle.accumulated(length)}
        for model, rows in found.rows.items():
            for line, name in zip(curves[model], SUMMED, strict=True):
                value = interval(measures[name], rows, found.confidence)
                line += [value] if value else []
    return _panels(TITLES["accumulated"], "nats", "place", [*SUMMED.values()], curves)


@style.styled
def places(found: Found, name: str) -> Figure | None:
    """One of ``registry.PLACES``: a panel a model; None where nothing was read of it."""
    title, unit, lines = PLACES[name]
    curves = {
        model: [curve(line, rows, READ, found.confidence) for line in lines]
        for model, rows in found.rows.items()
    }
    where = "lag" if name.startswith("planted") else "place"
    figure = _panels(title, unit, where, [line.label for line in lines], curves)
    effects = (point.value for own in curves.values() for c in own for point in c)
    if figure is not None and where == "lag" and max(effects) > LARGE:
        for ax in figure.axes:
            _bend(ax)
    return figure


def _bend(ax: Axes) -> None:
    """An axis on which what the first lag costs does not hide what is left of it."""
    from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

    ax.set_yscale("symlog", linthresh=1, linscale=1.5)
    ax.yaxis.set_major_locator(FixedLocator([-1, -0.5, 0, 0.5, 1, 4, 16]))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    if ax.get_ylabel():
        ax.set_ylabel(f"{ax.get_ylabel()}, logarithmic above 1")


def _panels(
    title: str,
    unit: str,
    where: str,
    labels: Sequence[str],
    curves: Mapping[str, Sequence[Sequence[Interval]]],
) -> Figure | None:
    """A panel a model, in which each of some lines has a value at each place."""
    from matplotlib.ticker import MaxNLocator

    drawn = {m: own for m, own in curves.items() if any(len(c) > 1 for c in own)}
    if not drawn:
        return None
    across = min(ACROSS, len(drawn))
    down = -(-len(drawn) // across)
    size = (max(4.4, 3.2 * across), 0.8 + 2 * down)
    figure, axes = style.panels(down, across, size, sharey=True)
    for ax in axes.flat[len(drawn) :]:
        ax.remove()
    for n, (model, own) in enumerate(drawn.items()):
        ax = axes.flat[n]
        for number, (label, points) in enumerate(zip(labels, own, strict=True)):
            at = range(1, len(points) + 1)
            look = {"color": COLOURS[number], "ls": DASHES[number], "lw": 1.2}
            ax.plot(at, [p.value for p in points], label=label, **look)
            low, high = [p.low for p in points], [p.high for p in points]
            if unit == "share":  # of which nothing is below 0 or above 1
                low = [max(0.0, x) for x in low]
                high = [min(1.0, x) for x in high]
            ax.fill_between(at, low, high, color=COLOURS[number], alpha=0.15, lw=0)
        ax.set_title(model, loc="left")
        beside, below = n % across, n + across < len(drawn)
        style.panel(ax, "" if beside else unit, "" if below else where)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    style.legend(figure, axes, 2.2)
    return figure


@style.styled
def differences(found: Found) -> Figure | None:
    """The first model against each other: each measure's difference over half of its
    interval, to the right where the first one is better, so that what lies beyond 1 is surely
    so; None without another."""
    others = list(found.rows)[1:]
    numbers = [n for n in found.numbers if _half(n) and n.measure.better]
    if not others or not numbers:
        return None
    titles = list({n.measure.name: n.measure for n in numbers}.values())
    height = 0.9 + 0.3 * len(titles)
    figure, axes = style.panels(1, len(others), (4.2 + 1.6 * len(others), height))
    for ax, other in zip(axes.flat, others, strict=True):
        _panel(ax, titles, [n for n in numbers if n.model == other])
        ax.set_title(textwrap.fill(f"against {other}", TITLE), loc="left")
        if ax is not axes.flat[0]:
            ax.set_yticklabels([])
    title = f"{found.first}: better or worse"
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    figure.supxlabel("worse   ←   difference over half its interval   →   better")
    return figure


def _half(number: Number) -> float:
    gap = number.difference
    return (gap.high - gap.low) / 2 if gap is not None and gap.high > gap.low else 0.0


def _panel(ax: Axes, measures: list[Measure], numbers: list[Number]) -> None:
    style.listed(ax, len(measures))
    rows = {measure.name: row for row, measure in enumerate(measures)}
    ax.axvspan(-1, 1, color=style.LIGHT, alpha=0.5, lw=0)
    for row, (before, measure) in enumerate(pairwise(measures)):
        if before.group != measure.group:
            ax.axhline(row + 0.5, color=style.GREY, lw=0.5)
    for number in numbers:
        gap, half = number.difference, _half(number)
        if gap is None:
            continue
        better = gap.value * number.measure.better / half
        colour = style.GREY
        if gap.sign:
            colour = style.INDIGO if better > 0 else style.ROSE
        mark = "o" if abs(better) < FAR else ">" if better > 0 else "<"
        at = max(-FAR, min(FAR, better))
        ax.plot([at], [rows[number.measure.name]], mark, color=colour, ms=4)
    ax.set_xlim(-FAR - 0.5, FAR + 0.5)
    titles = [textwrap.fill(measure.title, ROW) for measure in measures]
    ax.set_yticks(range(len(measures)), titles)

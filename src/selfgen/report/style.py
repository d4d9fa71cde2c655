"""How all figures look: one style, and one colour and marker for each method of a run.

Colours are those of Okabe and Ito, and of Tol's muted scheme (colour-blind safe). Equal
inputs give equal bytes: no dates, no random ids, and the font that ships with matplotlib.
"""

from __future__ import annotations

import functools
import io
import itertools
import textwrap
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

    from selfgen.evaluation.statistics import Interval

Arguments = ParamSpec("Arguments")
Drawn = TypeVar("Drawn")

KINDS = ("pdf", "svg", "png")
"""Endings of a figure's files."""

BLUE, VERMILION, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, WINE = "#E69F00", "#56B4E9", "#882255"
INDIGO, OLIVE, ROSE = "#332288", "#999933", "#CC6677"
"""No method's: of kinds of contexts, and of what is better or worse."""
BLACK, TEXT_GREY, GREY, LIGHT = "#000000", "#555555", "#8A8A8A", "#D9D9D9"

Marker = str | tuple[tuple[float, float], ...]
"""A name of matplotlib's, or a polygon."""


def _closed(*corners: tuple[float, float]) -> Marker:
    return (*corners, corners[0])


FAMILIES: dict[str, tuple[str, Marker]] = {
    "none": (GREY, "."),
    "plain": (BLACK, "D"),
    "bash": (BLUE, "o"),
    "realigned": (PINK, "P"),
    "random": (VERMILION, "s"),
    "online": (SKY, "v"),
    "two-pass": (SKY, "<"),
    "rac": (GREEN, "^"),
    "rac-inline": (GREEN, ">"),
    "rac-token": (GREEN, _closed((-1, -0.8), (1, -0.8), (0.4, 0.8), (-0.4, 0.8))),
    "spin": (ORANGE, "X"),
    "dpo": (ORANGE, "X"),
    "pairs": (ORANGE, "X"),
}
"""Colour and marker of a kind of methods; all other kinds have ``OTHER``."""
OTHER: tuple[str, Marker] = (WINE, "8")

FURTHER: tuple[Marker, ...] = (
    *("d", "*", "p"),
    _closed((-1, 1), (1, 1), (-1, -1), (1, -1)),  # an hourglass
    _closed((-1, 0.5), (1, 0.5), (1, -0.5), (-1, -0.5)),  # a bar that lies
    "h",
    _closed((-1, 1), (-1, -1), (1, 1), (1, -1)),  # a bow tie
    _closed((-0.5, 1), (0.5, 1), (0.5, -1), (-0.5, -1)),  # a bar that stands
    _closed((-1, 1), (-0.2, 1), (-0.2, -0.2), (1, -0.2), (1, -1), (-1, -1)),  # an L
    _closed((-0.2, 1), (1, 1), (0.2, -1), (-1, -1)),  # a bar that leans
    _closed((-1, -1), (1, -1), (1, 0.2), (0, 1), (-1, 0.2)),  # a house
    _closed(  # a T
        *((-1, 1), (1, 1), (1, 0.3), (0.35, 0.3)),
        *((0.35, -1), (-0.35, -1), (-0.35, 0.3), (-1, 0.3)),
    ),
    _closed(  # a star of four points
        *((0, 1), (0.3, 0.3), (1, 0), (0.3, -0.3)),
        *((0, -1), (-0.3, -0.3), (-1, 0), (-0.3, 0.3)),
    ),
    _closed(  # a U
        *((-1, 1), (-0.4, 1), (-0.4, -0.3), (0.4, -0.3)),
        *((0.4, 1), (1, 1), (1, -1), (-1, -1)),
    ),
)
"""Markers of methods whose kind has given its own away."""
SHADES = (0.0, 0.25, 0.45)
"""Shares of white in the colours of further methods of a family."""
SIZE = 5.0
"""Of a marker, in points."""

STYLE: dict[RcKeyType, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.title_fontsize": 8,
    "figure.titlesize": 8,
    "figure.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "figure.constrained_layout.w_pad": 0.08,
    "figure.constrained_layout.h_pad": 0.08,
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


class Look(NamedTuple):
    """Of a method in every figure of a run."""

    colour: str
    marker: Marker


def looks(mixes: Mapping[str, str]) -> dict[str, Look]:
    """The look of each method of a run, from its kind, in the order of their names: what
    every figure of the run draws with, whoever reads its spec, since JSON keeps no order. The
    first of a kind has the kind's marker, each further one the next of ``FURTHER``, and a
    shade of the colour."""
    further = itertools.cycle(FURTHER)
    counts: Counter[str] = Counter()
    gone: set[Marker] = set()
    found: dict[str, Look] = {}
    for method, mix in sorted(mixes.items()):
        colour, first = FAMILIES.get(mix, OTHER)
        shade = lighter(colour, SHADES[counts[colour] % len(SHADES)])
        counts[colour] += 1
        # Once round at most: where all are taken, two methods look the same.
        for marker in itertools.chain([first], itertools.islice(further, len(FURTHER))):
            look = Look(shade, marker)
            if marker not in gone and look not in found.values():
                break
        gone.add(first)
        found[method] = look
    return found


def lighter(colour: str, white: float) -> str:
    """A colour with a share of white in it."""
    parts = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(p + (255 - p) * white):02X}" for p in parts)


def render(figure: Figure, kind: str) -> bytes:
    """The figure as a file: ``pdf``, ``svg`` or ``png``."""
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        _lay_out(figure)
        figure.savefig(buffer, format=kind, metadata=METADATA[kind])
    return buffer.getvalue()


def _lay_out(figure: Figure) -> None:
    """Places the panels for good: the last digits of what the solver finds differ from one
    time to the next, and with them the bytes of files."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    if isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for ax in figure.axes:
            left, bottom, width, height = (
                round(x, 6) for x in ax.get_position().bounds
            )
            ax.set_position((left, bottom, width, height))


def styled(draw: Callable[Arguments, Drawn]) -> Callable[Arguments, Drawn]:
    """Draws with the style of all figures."""

    @functools.wraps(draw)
    def drawn(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Drawn:
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


def panel(ax: Axes, ylabel: str, xlabel: str = "", axis: Any = "both") -> None:
    """Names and a grid."""
    ax.set_ylabel(ylabel)
    ax.set_xlabel(xlabel)
    ax.grid(axis=axis, color=LIGHT, linewidth=0.5)
    ax.set_axisbelow(True)


def listed(ax: Axes, rows: int) -> None:
    """Rows from the top to the bottom, on dotted lines instead of an axis."""
    ax.set_ylim(rows - 0.5, -0.5)
    ax.grid(axis="y", color=LIGHT, linewidth=0.5, linestyle=(0, (1, 2)))
    ax.set_axisbelow(True)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)


def trace(
    ax: Axes,
    points: tuple[Sequence[float], Sequence[float]],
    look: Look,
    label: str | None = None,
    dashes: str = "-",
    number: int = 0,
) -> None:
    """A line through ``points``, xs and ys, with a marker here and there; lines of other
    ``number`` have theirs elsewhere."""
    every = max(1, len(points[0]) // 6)
    ax.plot(
        *points,
        color=look.colour,
        marker=look.marker,
        markersize=SIZE,
        markevery=(number % every, every),
        linestyle=dashes,
        linewidth=1.2,
        label=label,
    )


def upright(
    ax: Axes,
    xs: Sequence[float],
    values: Sequence[Interval],
    look: Look,
    label: str | None = None,
) -> None:
    """Points over ``xs``, each with its interval; in percent, ``values`` are shares of 1."""
    low, mid, high = (
        [100 * getattr(value, end) for value in values]
        for end in ("low", "value", "high")
    )
    ax.vlines(xs, low, high, color=look.colour, linewidth=1.0)
    ax.plot(xs, mid, ls="", marker=look.marker, ms=SIZE, color=look.colour, label=label)


def beside(number: int, count: int) -> float:
    """How far from its place one of ``count`` points stands that share a place of width 1."""
    return 0.7 * ((number + 0.5) / count - 0.5)


def dot(ax: Axes, y: float, value: Interval, look: Look, filled: bool = True) -> None:
    """A point in row ``y`` with its interval; in percent, ``value`` is a share of 1."""
    ends = [100 * value.low, 100 * value.high]
    ax.plot(ends, [y, y], color=look.colour, linewidth=1.2, zorder=2)
    ax.plot(
        [100 * value.value],
        [y],
        marker=look.marker,
        markersize=SIZE,
        color=look.colour,
        markerfacecolor=look.colour if filled else "white",
        zorder=3,
    )


def note(figure: Figure, text: str) -> None:
    """What all panels have to be read with, below them."""
    figure.supxlabel(_wrapped(figure, text), color=TEXT_GREY)


def _wrapped(figure: Figure, text: str) -> str:
    """In lines that the figure holds."""
    return textwrap.fill(text, int(17 * figure.get_size_inches()[0]))


def legend(figure: Figure, axes: Any, width: float = 1.7, title: str = "") -> None:
    """Every labelled line once, below the panels; a name takes so many inches. ``title``:
    what all lines have to be read with."""
    found: dict[str, Artist] = {}
    for ax in axes.flat:
        handles, names = ax.get_legend_handles_labels()
        found |= {n: h for n, h in zip(names, handles, strict=True) if n not in found}
    # Filled row by row, so that no hole is left in the middle.
    columns = max(1, min(len(found), int(figure.get_size_inches()[0] / width)))
    rows = -(-len(found) // columns)
    columns = -(-len(found) // rows)
    # Two lines are of the figure's own height.
    wide, high = figure.get_size_inches()
    title = _wrapped(figure, title)
    lines = rows + bool(title) * (1 + title.count("\n"))
    figure.set_size_inches(wide, high + 0.17 * max(0, lines - 2))
    figure.legend(
        found.values(),
        found.keys(),
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        title=title,
    )

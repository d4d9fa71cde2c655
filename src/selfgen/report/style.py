"""How all figures look: one style, and one colour and marker for each kind of method.

Colours are those of Okabe and Ito, and of Tol's muted scheme (colour-blind safe). Equal
inputs give equal bytes: no dates, no random ids, and the font that ships with matplotlib.
"""

from __future__ import annotations

import functools
import io
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

Arguments = ParamSpec("Arguments")
Drawn = TypeVar("Drawn")

KINDS = ("pdf", "svg", "png")
"""Endings of a figure's files."""

BLUE, VERMILION, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, WINE = "#E69F00", "#56B4E9", "#882255"
INDIGO, OLIVE, ROSE = "#332288", "#999933", "#CC6677"
"""No method's: of kinds of contexts, and of what is better or worse."""
BLACK, TEXT_GREY, GREY, LIGHT = "#000000", "#555555", "#8A8A8A", "#D9D9D9"

FAMILIES = {
    "none": (GREY, "o"),
    "plain": (BLACK, "D"),
    "bash": (BLUE, "o"),
    "realigned": (PINK, "P"),
    "random": (VERMILION, "s"),
    "online": (SKY, "v"),
    "two-pass": (SKY, "<"),
    "rac": (GREEN, "^"),
    "rac-inline": (GREEN, ">"),
    "spin": (ORANGE, "X"),
    "dpo": (ORANGE, "X"),
    "pairs": (ORANGE, "X"),
}
"""Colour and marker of a method by its ``mix``; all others have ``OTHER``."""
OTHER = (WINE, "h")

LINES = ("-", "--", ":", "-.")
SHADES = (0.0, 0.3, 0.5)
"""Shares of white in the colours of further methods of a family."""

STYLE: dict[RcKeyType, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
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
    """Of a method in every figure of a configuration."""

    colour: str
    marker: str
    line: str


def looks(mixes: Mapping[str, str]) -> dict[str, Look]:
    """The look of each method of a configuration, from its ``mix``, in their order, so that a
    method looks the same in every figure. Further methods of a family have another line and
    a lighter shade."""
    counts: Counter[str] = Counter()
    found = {}
    for method in mixes:
        colour, marker = FAMILIES.get(mixes[method], OTHER)
        number = counts[colour]
        counts[colour] += 1
        shade = SHADES[number % len(SHADES)]
        found[method] = Look(lighter(colour, shade), marker, LINES[number % len(LINES)])
    return found


def family(mix: str) -> Look:
    """The look of all methods of a ``mix``, where each has its name beside it."""
    return Look(*FAMILIES.get(mix, OTHER), "-")


def lighter(colour: str, white: float) -> str:
    """A colour with a share of white in it."""
    parts = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(p + (255 - p) * white):02X}" for p in parts)


def render(figure: Figure, kind: str) -> bytes:
    """The figure as a file: ``pdf``, ``svg`` or ``png``."""
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format=kind, metadata=METADATA[kind])
    return buffer.getvalue()


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


def legend(
    figure: Figure, axes: Any, width: float = 1.7, more: Mapping[str, Any] = {}
) -> None:
    """Every labelled line once, below the panels; a name takes so many inches. ``more``: what
    lines mean besides, by their names."""
    from matplotlib.lines import Line2D

    found: dict[str, Artist] = {}
    for ax in axes.flat:
        handles, names = ax.get_legend_handles_labels()
        found |= {n: h for n, h in zip(names, handles, strict=True) if n not in found}
    for name, line in more.items():
        found[name] = Line2D([], [], color=TEXT_GREY, ls=line, lw=1.2)
    # Filled row by row, so that no hole is left in the middle.
    columns = max(1, min(len(found), int(figure.get_size_inches()[0] / width)))
    rows = -(-len(found) // columns)
    columns = -(-len(found) // rows)
    # Two lines are of the figure's own height.
    wide, high = figure.get_size_inches()
    figure.set_size_inches(wide, high + 0.17 * max(0, rows - 2))
    figure.legend(
        found.values(),
        found.keys(),
        loc="outside lower center",
        ncols=columns,
        frameon=False,
    )

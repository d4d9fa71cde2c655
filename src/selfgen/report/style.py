"""How all figures look. Colours are those of Okabe and Ito (colour-blind safe).

A method has the same colour in every figure of a configuration. Equal inputs give equal
bytes: no dates, no random ids, and the font that ships with matplotlib.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from selfgen.report.spec import TableSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
STYLE = {
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

    The baseline is black, base and lead-1 are grey; the others take the palette in
    alphabetical order, from the seventh on again with dashes.
    """
    fixed = {spec.baseline: BLACK, "base": GREY, "lead-1": GREY}
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

r"""A table as LaTeX (booktabs) that fits a page of the class ``article``.

A wide table lies on its side, or is set as several panels, one above the other, each with the
columns of words; a long one goes on in further floats. Long words are broken into lines.
Nothing is scaled down.
"""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from selfgen.report.grid import Box, Entry, Grid, entry

_MARKS = {
    "▲": r"$^{\uparrow}$",
    "▲▲": r"$^{\uparrow\uparrow}$",
    "▼": r"$^{\downarrow}$",
    "▼▼": r"$^{\downarrow\downarrow}$",
    "†": r"$^{\dagger}$",
}
_LATEX = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': "''",
    "—": "---",
    "–": "--",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "β": r"$\beta$",
    "†": r"$\dagger$",
    "‡": r"$\ddagger$",
    "§": r"\S{}",
    "¶": r"\P{}",
    "▲": r"$\uparrow$",
    "▼": r"$\downarrow$",
    "\N{NO-BREAK SPACE}": "~",
}

_HEADER_WIDTH = 13
"""Characters of a line of a column's title."""

_WORDS_WIDTH = 44
"""Characters of a line of a column of words."""

_NARROW = 8
"""Columns up to which a table has the larger type."""

# All sizes are in points.
_BETWEEN = 9.0
_LINE, _LARGER_LINE, _LINE_BELOW, _NOTE_LINE = 8.1, 9.6, 7.0, 8.1
_BELOW_BROKEN = 2.0
_CAPTION = 46.0

# Points of an em: the size of the type, by how much wider small Computer Modern is.
_LARGER, _SMALLER, _TINY = 8.5, 8.0, 6.8


_EMS = {
    **dict.fromkeys("iljI.,:;'|![]", 0.28),
    **dict.fromkeys("frst()-/ ", 0.38),
    **dict.fromkeys("cez", 0.44),
    **dict.fromkeys("0123456789", 0.5),
    **dict.fromkeys("mwMW%+−—", 0.83),
}


@dataclass(frozen=True)
class _Page:
    """What a float has room for: ``environment``, and points of a page of ``article`` at
    10 pt, the narrowest of the common classes. The width is a little less than that, since
    that of a text is an estimate."""

    environment: str
    width: float
    height: float


_UPRIGHT = _Page("table", 342.0, 550.0)
_ASIDE = _Page("sidewaystable", 543.0, 345.0)


@dataclass(frozen=True)
class _Panel:
    """A part of a table: some of its columns, and rows from ``start`` up to ``end``."""

    columns: Sequence[int]
    start: int
    end: int


def to_latex(grid: Grid) -> str:
    r"""Complete ``table`` environments, or ``sidewaystable`` where fewer of these are enough.
    The document needs the packages booktabs and rotating."""
    page, floats = _UPRIGHT, _floats(grid, _UPRIGHT)
    if len(aside := _floats(grid, _ASIDE)) < len(floats):
        page, floats = _ASIDE, aside
    size = r"\scriptsize" if len(grid.header) > _NARROW else r"\footnotesize"
    lines = []
    for number, panels in enumerate(floats):
        placed = "[tbp]" * (page is _UPRIGHT)
        lines += [rf"\begin{{{page.environment}}}{placed}", r"\centering"]
        if number:
            lines += [
                r"\addtocounter{table}{-1}",
                rf"\caption{{{_latex(grid.title)} (Continued.)}}",
            ]
        else:
            lines += [
                rf"\caption{{{_latex(grid.title)}}}",
                rf"\label{{tab:{grid.name}}}",
            ]
        lines += [size, r"\setlength{\tabcolsep}{4.5pt}"]
        for panel in panels:
            lines += [*_tabular(grid, panel), r"\par\vspace{4pt}"]
        if number == len(floats) - 1:
            lines += [
                r"\begin{minipage}{\linewidth}\scriptsize\raggedright",
                *(rf"{_latex(note)}\par" for note in grid.notes),
                r"\end{minipage}",
            ]
        lines += [rf"\end{{{page.environment}}}", ""]
    return "\n".join(lines)


def _tabular(grid: Grid, panel: _Panel) -> Iterator[str]:
    kinds = "".join("l" if i < grid.left else "r" for i in panel.columns)
    yield rf"\begin{{tabular}}{{@{{}}{kinds}@{{}}}}"
    yield r"\toprule"
    yield from _latex_header([grid.header[i] for i in panel.columns])
    yield r"\midrule"
    for index in range(panel.start, panel.end):
        if index in grid.rules and index > panel.start:
            yield r"\midrule"
        yield from _latex_row([grid.rows[index][i] for i in panel.columns], grid.left)
    yield r"\bottomrule"
    yield r"\end{tabular}"


def _floats(grid: Grid, page: _Page) -> list[list[_Panel]]:
    """The panels of each float. The notes have room in the last."""
    notes = sum(math.ceil(_em(n) * _SMALLER / page.width) for n in grid.notes)
    room = page.height - _CAPTION - min(_NOTE_LINE * notes, page.height / 2)
    columns = _columns(grid, page.width)
    head = max(_header_height(grid, part) for part in columns)
    floats: list[list[_Panel]] = [[]]
    free = room
    for start, end in _rows(grid, room - head):
        for part in columns:
            height = _header_height(grid, part)
            height += sum(_height(grid, i, part) for i in range(start, end))
            if height > free and floats[-1]:
                floats.append([])
                free = room
            floats[-1].append(_Panel(part, start, end))
            free -= height
    return floats


def _columns(grid: Grid, width: float) -> list[list[int]]:
    """The columns of each panel: as few panels as fit the width, about equally wide."""
    size = _SMALLER if len(grid.header) > _NARROW else _LARGER
    rows = [grid.header, *grid.rows]
    widths = [
        max(_width(grid, entry(row[i]), i, size, row is grid.header) for row in rows)
        for i in range(len(grid.header))
    ]
    words = sum(widths[: grid.left]) + _BETWEEN * (grid.left - 1)
    rest = range(grid.left, len(grid.header))

    def packed(limit: float) -> list[list[int]]:
        panels: list[list[int]] = [[]]
        free = limit
        for i in rest:
            if widths[i] + _BETWEEN > free and panels[-1]:
                panels.append([])
                free = limit
            panels[-1].append(i)
            free -= widths[i] + _BETWEEN
        return panels

    limit = width - words
    panels = packed(limit)
    while limit > 0 and len(narrower := packed(limit - _BETWEEN)) == len(panels):
        limit, panels = limit - _BETWEEN, narrower
    return [[*range(grid.left), *panel] for panel in panels]


def _rows(grid: Grid, room: float) -> Iterator[tuple[int, int]]:
    """Rows that fit a page of ``room`` points: from, up to. A part ends above a thin line,
    where one is in its second half."""
    columns = range(len(grid.header))
    heights = [_height(grid, i, columns) for i in range(len(grid.rows))]
    start = 0
    while start < len(heights) or not start:
        totals = itertools.accumulate(heights[start:])
        end = start + max(1, sum(total <= room for total in totals))
        if end < len(heights):
            above = [i for i in grid.rules if (start + end) / 2 < i <= end]
            end = max(above, default=end)
        yield start, min(end, len(heights))
        start = end


def _width(grid: Grid, found: Entry, column: int, size: float, header: bool) -> float:
    if header:
        lines = textwrap.wrap(found.text, _HEADER_WIDTH)
        below = max((_em(x) * size for x in _below(found)), default=0.0)
    else:
        lines = _lines(found, column < grid.left)
        below = _em(found.below) * _TINY
    bold = 1.15 if found.bold else 1.0
    return max([below, *(_em(line) * size * bold for line in lines)])


def _em(text: str) -> float:
    """How wide a text is in Computer Modern, about, in ems."""
    return sum(_EMS.get(c, 0.72 if c.isupper() else 0.53) for c in text)


def _height(grid: Grid, index: int, columns: Sequence[int]) -> float:
    row = grid.rows[index]
    words = [entry(box) for box in row[: grid.left]]
    if any(len(_lines(found, True)) > 1 for found in words):
        lines = max(len(_lines(found, True)) + bool(found.below) for found in words)
        return _line(row) * lines + _BELOW_BROKEN
    return _line(row) + _LINE_BELOW * any(entry(row[i]).below for i in columns)


def _header_height(grid: Grid, columns: Sequence[int]) -> float:
    lines = len(_latex_header([grid.header[i] for i in columns]))
    return _line(grid.header) * (lines + 1.5)


def _line(row: Sequence[Box]) -> float:
    return _LINE if len(row) > _NARROW else _LARGER_LINE


def _latex(text: str) -> str:
    # Two of these in a row would be joined to another sign.
    return "".join(
        _LATEX.get(one, one) + "{}" * (one == next_ and one in "-'")
        for one, next_ in zip(text, f"{text[1:]} ", strict=True)
    )


def _latex_line(boxes: Iterable[str]) -> str:
    """Boxes of a line. What stands at its beginning is no argument of the command above."""
    line = " & ".join(boxes)
    return "{}" * line.startswith(("[", "*")) + line


def _lines(found: Entry, words: bool) -> list[str]:
    """The lines of a box above what stands below it; ``words``: of a column of words."""
    return (words and textwrap.wrap(found.text, _WORDS_WIDTH)) or [found.text]


def _latex_row(row: Sequence[Box], left: int) -> list[str]:
    """The lines of a row whose first ``left`` boxes are of words."""
    stacks = []
    for column, found in enumerate(map(entry, row)):
        stack = [_latex(line) for line in _lines(found, column < left)]
        if found.bold:
            stack = [rf"\textbf{{{line}}}" for line in stack]
        if found.mark:
            # It takes no room, so that the numbers above and below stay aligned.
            stack[-1] += rf"\rlap{{{_MARKS[found.mark]}}}"
        below = [rf"{{\tiny {_latex(found.below)}}}"] if found.below else []
        stacks.append((stack, below))
    broken = max(len(stack) for stack, _ in stacks) > 1
    boxes = [stack + below for stack, below in stacks]
    height = max(map(len, boxes))
    padded = [stack + [""] * (height - len(stack)) for stack in boxes]
    first, *more = [_latex_line(line) + r" \\" for line in zip(*padded, strict=True)]
    if not more:
        return [first]
    if broken:
        return [first, *more[:-1], f"{more[-1]}[{_BELOW_BROKEN:g}pt]"]
    # A line of small type has no need of a whole line's height.
    return [f"{first}[-2pt]", *(f"{line}[1pt]" for line in more)]


def _latex_header(header: Sequence[Box]) -> list[str]:
    """Column titles, broken into short lines that end on a common base line."""
    stacks = []
    for found in map(entry, header):
        stack = [_latex(part) for part in textwrap.wrap(found.text, _HEADER_WIDTH)]
        if found.mark:
            stack[-1] += rf"\rlap{{{_MARKS[found.mark]}}}"
        stacks.append(stack + [_latex(part) for part in _below(found)])
    height = max(map(len, stacks))
    padded = [[""] * (height - len(stack)) + stack for stack in stacks]
    return [_latex_line(line) + r" \\" for line in zip(*padded, strict=True)]


def _below(title: Entry) -> list[str]:
    """The lines below a column's title; a list breaks at its slashes."""
    return textwrap.wrap(title.below, 2 * _HEADER_WIDTH)

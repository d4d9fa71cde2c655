"""A table as text: Markdown and CSV, the same for every table; ``latex`` has the third."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selfgen.evaluation.statistics import Interval

NOT_RUN = "—"
ITEMS_ONLY = "‡"
TWO_SEEDS = "§"


@dataclass(frozen=True)
class Entry:
    """One box of a table: text, a small mark after it, a second and smaller line."""

    text: str
    mark: str = ""
    below: str = ""
    bold: bool = False


Box = Entry | str


@dataclass(frozen=True)
class Grid:
    """A table ready to be written.

    A box is an ``Entry``, or a text alone. ``left`` columns from the left hold words, the
    others numbers; ``rules`` are the rows above which a thin line goes (LaTeX only);
    ``name`` is the LaTeX label.
    Raises ValueError: a row with more or fewer boxes than the header.
    """

    name: str
    title: str
    header: Sequence[Box]
    rows: Sequence[Sequence[Box]]
    notes: Sequence[str] = ()
    left: int = 1
    rules: frozenset[int] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        for number, row in enumerate(self.rows):
            if len(row) != len(self.header):
                raise ValueError(
                    f"table {self.name}: row {number} has {len(row)} boxes, the header"
                    f" {len(self.header)}"
                )


def bracketed(
    interval: Interval | None,
    digits: int = 1,
    *,
    unit: float = 100,
    sign: str = "",
    mark: str = "",
    bold: bool = False,
) -> Entry:
    """A value over its interval, in percent where ``unit`` is 100; ``sign`` "+": as a
    difference. A dash where there is none. ``scope_notes`` explain the sign of few seeds."""
    if interval is None:
        return Entry(NOT_RUN)
    value, low, high = (
        "" if x is None else f"{unit * x:{sign}.{digits}f}" for x in numbers(interval)
    )
    below = f"[{low}, {high}]{_scope(interval)}" if low else "one item"
    return Entry(value, mark, below, bold)


def _scope(interval: Interval) -> str:
    seeds = {1: f" {ITEMS_ONLY}", 2: f" {TWO_SEEDS}"}.get(interval.seeds, "")
    return seeds + " all equal" * interval.equal


def scope_notes(
    intervals: Iterable[Interval | None], items: str = "items"
) -> list[str]:
    """What the signs of ``bracketed`` mean, of those that a table has."""
    shown = [interval for interval in intervals if interval]
    seeds = {interval.seeds for interval in shown}
    notes = []
    if 1 in seeds:
        notes.append(
            f"{ITEMS_ONLY}: one seed. The interval says what other {items} would show, not"
            " what another training run would."
        )
    if 2 in seeds:
        notes.append(
            f"{TWO_SEEDS}: two seeds, too few to say how much seeds differ: no mark."
        )
    if any(interval.equal for interval in shown):
        notes.append(f"All equal: all {items} have one value, so nothing is tested.")
    return notes


def arrow(sign: int, twice: bool) -> str:
    """The mark of a difference: its direction, doubled after Holm's correction."""
    return {1: "▲", -1: "▼", 0: ""}[sign] * (1 + twice)


def numbers(interval: Interval | None) -> list[Any]:
    """The value and the ends of its interval, for CSV; None where there is none."""
    if interval is None:
        return [None] * 3
    ends = (interval.low, interval.high)
    return [interval.value, *(None if math.isnan(end) else end for end in ends)]


def to_markdown(grid: Grid) -> str:
    """A GitHub table under a bold title, with the notes as a list below."""
    align = [":--" if i < grid.left else "--:" for i in range(len(grid.header))]
    lines = [
        f"**{_markdown(grid.title)}**",
        "",
        _pipes(map(_markdown_entry, grid.header)),
        _pipes(align),
        *(_pipes(map(_markdown_entry, row)) for row in grid.rows),
    ]
    if grid.notes:
        lines += ["", *(f"- {markdown_block(_markdown(note))}" for note in grid.notes)]
    return "\n".join(lines) + "\n"


def to_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Comma-separated text: floats with six decimals, None as an empty field."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([f"{v:.6f}" if isinstance(v, float) else v for v in row])
    return buffer.getvalue()


def _pipes(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown(text: str) -> str:
    """Text inside of a line that shows exactly the characters it has. Brackets stay where
    they make no link and no footnote, as those of intervals."""
    text = re.sub(r"[\\`*_|<>&~$#]", r"\\\g<0>", text)
    return re.sub(r"\](?=[\[(])|\[(?=\^)", r"\\\g<0>", text)


def markdown_block(text: str) -> str:
    """Text that was escaped, where it begins a paragraph: no list, no line."""
    return re.sub(r"^(\d*)(?=[-+=.)])", r"\1\\", text)


def entry(box: Box) -> Entry:
    """A box as an entry."""
    return box if isinstance(box, Entry) else Entry(box)


def _markdown_entry(box: Box) -> str:
    found = entry(box)
    text = _markdown(found.text)
    text = f"**{text}**" if found.bold else text
    text = f"{text} {found.mark}" if found.mark else text
    return f"{text}<br>{_markdown(found.below)}" if found.below else text

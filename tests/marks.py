"""What became of the marks of the shipped tables when the statistics changed.

``python -m tests.marks`` writes the lists in docs/statistics-changes.md, from the marks that
the bootstrap had given (docs/reference/marks-before.csv) and those in the tables of today; a
test holds the page against both.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from selfgen.report import grid, ship
from selfgen.report.grid import ITEMS_ONLY, Grid

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
BEFORE = REFERENCE / "marks-before.csv"
PAGE = REFERENCE.parent / "statistics-changes.md"
TABLES = (
    "laptop/tables/main",
    "laptop/tables/win-rates-embedding-similarity",
    "preference/tables/main",
    "preference/tables/win-rates-embedding-similarity",
    "synthetic/tables/ablations-extraction",
    "synthetic/tables/ablations-chains",
    "synthetic/tables/ablations-noisy",
    "synthetic/tables/controls",
)
"""Tables with marks."""
MARK = re.compile(r" (▲▲|▲|▼▼|▼)<br>")

Key = tuple[str, str, str]
"""Table, row and column."""


@dataclass(frozen=True)
class Change:
    """A mark that is not what it was, and why."""

    key: Key
    before: str
    after: str
    why: str


def cells(table: str, text: str) -> dict[Key, str]:
    """The cells with an interval of a Markdown table."""
    lines = [
        line.strip("| ").split(" | ")
        for line in text.splitlines()
        if line.startswith("| ")
    ]
    header = [name.partition("<br>")[0] for name in lines[0]]
    found = {}
    for line in lines[2:]:
        row = ", ".join(box for box in line if not re.search(r"<br>\[|^[\d.,—]+$", box))
        for column, box in zip(header, line, strict=True):
            if "<br>[" in box:
                found[table, row, column] = box
    return found


def mark(box: str) -> str:
    """The mark of a cell."""
    found = MARK.search(box)
    return found.group(1) if found else ""


def changes() -> Iterator[Change]:
    """In the order of the tables."""
    with BEFORE.open(encoding="utf-8", newline="") as file:
        before = {
            (row["table"], row["row"], row["column"]): row["mark"]
            for row in csv.DictReader(file)
        }
    primary = _primary()
    for table in TABLES:
        text = (REFERENCE / f"{table}.md").read_text(encoding="utf-8")
        for key, box in cells(table, text).items():
            old, new = before.get(key, ""), mark(box)
            if old != new:
                yield Change(key, old, new, _why(old, new, box, key in primary))


def _why(before: str, after: str, box: str, primary: bool) -> str:
    if not after:
        return "the interval, by t quantiles, holds 0"
    if not before:
        return "the new interval is narrower, and excludes 0"
    if len(after) > len(before):
        return "survives Holm's correction over the declared comparisons"
    if ITEMS_ONLY in box:
        return "one seed says nothing of others"
    if not primary:
        return "exploratory: not among the declared comparisons"
    return "does not survive Holm's correction any more"


def _primary() -> set[Key]:
    """The declared comparisons of the synthetic run; elsewhere there is one seed."""
    titles = {"exact": "Exact match", "excess": "Excess error"}
    path = REFERENCE / "synthetic" / "tables" / "spec.json"
    return {
        (f"synthetic/tables/ablations-{one['name']}", row, titles[one["measure"]])
        for one in json.loads(path.read_text(encoding="utf-8"))["experiments"]
        for method in one["primary"]
        for row in (
            one["labels"][method],
            f"{one['labels'][method]}, corrected once",
        )
    }


def texts() -> dict[str, str]:
    """The lists of the page by the name of their marks."""
    found = list(changes())
    counts = Counter((change.before, change.after, change.why) for change in found)
    summary = Grid(
        name="counts",
        title=f"{len(found)} marks changed.",
        header=["Before", "Now", "Why", "How many"],
        rows=[
            [before or "none", after or "none", why, str(n)]
            for (before, after, why), n in counts.most_common()
        ],
        left=3,
    )
    every = Grid(
        name="marks",
        title="Each of them.",
        header=["Table", "Row", "Column", "Before", "Now", "Why"],
        rows=[
            [
                *(change.key[0].replace("/tables/", ": "), *change.key[1:]),
                *(change.before or "none", change.after or "none", change.why),
            ]
            for change in found
        ],
        left=6,
    )
    return {made.name: grid.to_markdown(made) for made in (summary, every)}


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(ship.show(page, texts()), encoding="utf-8")

"""The evidence run under each of its seeds by itself: of few seeds no interval over trainings
says much, so each is shown. Drawn by ``python -m tests.shipped``."""

from __future__ import annotations

import csv
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from selfgen.core.names import row_name
from selfgen.core.rows import read_frame
from selfgen.core.spec import from_json
from selfgen.graph import tables
from selfgen.report import reproduced, tabulate
from selfgen.report.grid import NOT_RUN, Grid, to_markdown
from selfgen.report.spec import TableSpec
from selfgen.report.tables.details import title
from tests import merged, shipped

RUN = "evidence"
EXCESS = "Excess error"
SHOWN = (
    ("bash", "sft-continued"),
    ("rac", "sft-continued"),
    ("rac-inline", "sft-continued"),
    ("bash", "random"),
    ("online", "bash"),
    ("realigned", "bash"),
)
"""The direct comparisons that are shown under each seed; the table controls has all."""

Ends = tuple[float, float, float]
"""A difference and the ends of its interval, in points."""
Cell = tuple[str, str, str]
"""A task, a method or two, and a measure."""


def declared() -> str:
    """The declared comparisons under each seed, as Markdown."""
    notes = [
        "Brackets: 95% interval over items, of that seed alone.",
        "The learning rates were chosen under seed 0; each seed has an SFT, fresh draws and"
        " a baseline of its own.",
    ]
    titled = "Declared differences under each seed, in points (scale: evidence)."
    return _drawn("by-seed", titled, of_claims(), notes)


def controls() -> str:
    """Methods that differ in one thing under each seed, as Markdown."""
    titled = (
        "Methods that differ in one thing under each seed, in points (scale: evidence)."
    )
    notes = ["Brackets: 95% interval over items, of that seed alone."]
    return _drawn("controls-by-seed", titled, of_controls(), notes)


def verified() -> str:
    """What ``selfgen verify`` says of seed 1 held against seed 0, as Markdown."""
    scores = read_frame(shipped.REFERENCE / RUN / "collected" / "scores.parquet")
    first, second = (
        scores[(scores["seed"] == seed) | (scores["method"] == "base")].assign(
            seed=seed
        )
        for seed in (0, 1)
    )
    text = (shipped.REFERENCE / RUN / "tables" / "main.json").read_text(
        encoding="utf-8"
    )
    found = [*reproduced.held(second, first, from_json(TableSpec, text))]
    said = "\n".join(reproduced.lines(found, "the shipped run"))
    return f"```text\n{said}\n```"


def _drawn(
    name: str, titled: str, found: Mapping[int, Mapping[Cell, Ends]], notes: list[str]
) -> str:
    cells = sorted(
        dict.fromkeys(cell for lines in found.values() for cell in lines),
        key=lambda cell: cell[0],
    )
    shown = [
        [*cell, *(_shown(lines.get(cell)) for lines in found.values())]
        for cell in cells
    ]
    header = ["Task", "Method", "Measure", *(f"Seed {seed}" for seed in found)]
    return to_markdown(Grid(name, titled, header, shown, notes, left=3))


def _shown(ends: Ends | None) -> str:
    return NOT_RUN if ends is None else "{:+.1f} [{:+.1f}, {:+.1f}]".format(*ends)


@functools.cache
def of_claims() -> dict[int, dict[Cell, Ends]]:
    """Declared differences to the baseline under each shipped seed."""
    found: dict[int, dict[Cell, Ends]] = {}
    for seed, line, labels in _lines("claims"):
        name = row_name(labels[line["method"]], line["decoding"])
        excess = line["measure"] == "excess"
        measure = EXCESS if excess else title(line["measure"])
        cell = (line["task"], name, measure)
        found.setdefault(seed, {})[cell] = _ends(line, "difference")
    return found


@functools.cache
def of_controls() -> dict[int, dict[Cell, Ends]]:
    """The differences of ``SHOWN`` under each shipped seed."""
    found: dict[int, dict[Cell, Ends]] = {}
    for seed, line, labels in _lines("controls"):
        pair = (line["method"], line["minus"])
        if pair in SHOWN:
            name = " minus ".join(labels[one] for one in pair)
            own = found.setdefault(seed, {})
            own[line["task"], name, title(line["metric"])] = _ends(line, "score")
            own[line["task"], name, EXCESS] = _ends(line, "excess")
    return found


def _ends(line: Mapping[str, str], name: str) -> Ends:
    value, low, high = (
        100 * float(line[f"{name}{end}"]) for end in ("", "_low", "_high")
    )
    return value, low, high


def _lines(table: str) -> Iterator[tuple[int, dict[str, str], dict[str, str]]]:
    """Every line of a table under each seed that is shipped, and what methods are called."""
    for seed in shipped.graph(RUN).config.seeds:
        job = tables.tables(shipped.graph(RUN, seeds=[seed]))[table]
        with TemporaryDirectory() as folder:
            merged.alone(shipped.REFERENCE / RUN, seed, Path(folder))
            found = shipped.inputs(Path(folder), job)
            text = tabulate.texts(job.spec, found)["csv"]
        for line in csv.DictReader(text.splitlines()):
            yield seed, line, job.spec.labels

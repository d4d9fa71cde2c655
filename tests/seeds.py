"""The declared comparisons and the evidence run under each seed by itself: of few seeds an
interval over trainings says little. Drawn by ``python -m tests.shipped``."""

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

ALL, DECLARED = "evidence", "declared"
"""The run of all arms, and that of the declared ones under more seeds."""
EXCESS = "Excess error"
SHOWN = {
    DECLARED: (("bash", "sft-continued"), ("rac", "sft-continued")),
    ALL: (
        ("rac-inline", "sft-continued"),
        ("bash", "random"),
        ("online", "bash"),
        ("realigned", "bash"),
    ),
}
"""The direct comparisons that are shown under each seed of a run; its table controls has
all."""

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
    titled = "Declared differences under each seed, in points (scale: declared)."
    return _drawn("by-seed", titled, of_claims(), notes)


def controls() -> str:
    """Methods that differ in one thing under each seed, as Markdown."""
    titled = "Methods that differ in one thing under each seed, in points."
    notes = [
        "Brackets: 95% interval over items, of that seed alone.",
        f"{NOT_RUN}: a method that was run under fewer seeds.",
    ]
    return _drawn("controls-by-seed", titled, of_controls(), notes)


def verified() -> str:
    """What ``selfgen verify`` says of seed 1 held against seed 0, as Markdown."""
    scores = read_frame(shipped.REFERENCE / ALL / "collected" / "scores.parquet")
    first, second = (
        scores[(scores["seed"] == seed) | (scores["method"] == "base")].assign(
            seed=seed
        )
        for seed in (0, 1)
    )
    text = (shipped.REFERENCE / ALL / "tables" / "main.json").read_text(
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
    for seed, line, labels in _lines(DECLARED, "claims"):
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
    for run, pairs in SHOWN.items():
        for seed, line, labels in _lines(run, "controls"):
            pair = (line["method"], line["minus"])
            if pair in pairs:
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


def _lines(
    run: str, table: str
) -> Iterator[tuple[int, dict[str, str], dict[str, str]]]:
    """Every line of a table of a run under each seed that is shipped, and what methods are
    called."""
    for seed in shipped.graph(run).config.seeds:
        job = tables.tables(shipped.graph(run, seeds=[seed]))[table]
        with TemporaryDirectory() as folder:
            merged.alone(shipped.REFERENCE / run, seed, Path(folder))
            found = shipped.inputs(Path(folder), job)
            text = tabulate.texts(job.spec, found)["csv"]
        for line in csv.DictReader(text.splitlines()):
            yield seed, line, job.spec.labels

"""A table of one's own: one file, and one entry in the graph's list."""

from __future__ import annotations

from pathlib import Path

from tests.flow import Flow

MODULE = '''\
"""How long answers are."""

from selfgen.report.grid import Entry, Grid
from selfgen.report.registry import Drawn, Table, score_frame


def draw(scores, spec):
    """Words of the answers of each method."""
    words = scores.groupby("method")["words"].mean()
    rows = [[Entry(spec.labels.get(m, m)), Entry(f"{n:.1f}")] for m, n in words.items()]
    made = Grid(spec.name, "Lengths.", [Entry("Method"), Entry("Words")], rows)
    return Drawn([made], ("method", "words"), [*words.items()])


TABLE = Table(draw, {"scores": score_frame})
'''


def tree(root: Path) -> dict[str, bytes]:
    """What a person would have edited."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for part in ("src", "workflow", "config")
        for path in (root / part).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


def test_a_table_is_one_file_and_one_entry(flow: Flow) -> None:
    before = tree(flow.root)
    (flow.root / "src/selfgen/report/tables/lengths.py").write_text(MODULE)
    flow.replace(
        "src/selfgen/graph/tables.py",
        '("main", "details", "cost")',
        '("main", "details", "cost", "lengths")',
    )
    after = tree(flow.root)
    assert {path for path in after if before.get(path) != after[path]} == {
        "src/selfgen/report/tables/lengths.py",
        "src/selfgen/graph/tables.py",
    }
    small = ("--configfile", "small.yaml")
    assert flow.rules(*small) == {"tabulate": 1}, "no other table is drawn anew"
    done = flow.snakemake("--cores", "1", *small)
    assert done.returncode == 0, done.stdout
    tables = flow.root / "results" / "tables"
    assert "| BASH |" in (tables / "lengths.md").read_text()
    assert (tables / "lengths.csv").read_text().startswith("method,words\n")
    assert r"\label{tab:lengths}" in (tables / "lengths.tex").read_text()

"""The smoke configuration, whole: to the tables, again with nothing to do, redrawn, and
as a report."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from selfgen import config
from selfgen.core.spec import from_json
from selfgen.graph import tables
from selfgen.graph.sources import WHEELS
from selfgen.graph.steps import Graph
from selfgen.report import plot, tabulate
from selfgen.report.spec import TableSpec
from tests.flow import Flow, clone

CONFIG = "config/smoke.yaml"


def snakemake(flow: Flow, folder: Path, *arguments: str) -> str:
    """In a folder of its own, as ``make smoke`` does."""
    elsewhere = ("--cores", "2", "--directory", str(folder), "--configfile", CONFIG)
    done = flow.plain(*elsewhere, *arguments)
    assert done.returncode == 0, done.stdout
    return done.stdout


def _collected(results: Path) -> dict[str, list[Path]]:
    """What the tables of the smoke configuration read."""
    return {path.stem: [path] for path in (results / "collected").iterdir()}


@pytest.mark.slow
def test_smoke_runs_to_its_tables(tmp_path: Path, warm: Callable[[Flow], None]) -> None:
    flow = clone(tmp_path / "clone", *(w.filename for w in WHEELS.values()))
    warm(flow)
    run = partial(snakemake, flow, tmp_path / "run")
    output = run()
    line = r"^\[ *(\d+)/(\d+)\] \w+ ?\S*: \d+ s(?:, about \d+ (?:s|min) left)?$"
    done, planned = zip(*re.findall(line, output, re.MULTILINE), strict=True)
    (total,) = set(planned)
    assert list(map(int, done)) == [*range(1, int(total) + 1)], output
    assert f"\n{total} of {total} jobs done in " in output and " left\n" in output
    assert len(output.splitlines()) < int(total) + 10, output
    results = tmp_path / "run/results"
    # One float, whatever the number of its panels.
    main = (results / "tables" / "main.tex").read_text()
    assert main.count("\\caption{") == main.count("\\label{tab:main}") == 1
    assert "Nothing to be done" in run()
    for path in (results / "tables").glob("*.json"):
        spec = from_json(TableSpec, path.read_text())
        drawn = tabulate.texts(spec, _collected(results))
        for kind, text in drawn.items():
            assert path.with_suffix(f".{kind}").read_text() == text, spec.name
    figures = tables.figures(Graph(config.load(flow.config(CONFIG))))
    for name in ("main", "curves"):
        drawn = plot.images(figures[name].spec, _collected(results))
        for kind, content in drawn.items():
            assert (results / "figures" / f"{name}.{kind}").read_bytes() == content
    report = tmp_path / "report.html"
    run("--report", str(report))
    page = report.read_text(encoding="utf-8")
    for text in ("Tables", "Figures", "Training loss per labelled token", "main.csv"):
        assert text in page, text

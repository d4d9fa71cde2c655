"""The smoke configuration, whole: to the tables, again with nothing to do, redrawn, and
as a report."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from selfgen.report.render import render_all

from selfgen.core.spec import from_json
from selfgen.graph.sources import WHEELS
from selfgen.report.spec import TablesSpec
from tests.flow import Flow, clone

CONFIG = "config/smoke.yaml"


def snakemake(flow: Flow, folder: Path, *arguments: str) -> str:
    """In a folder of its own, as ``make smoke`` does."""
    elsewhere = ("--cores", "2", "--directory", str(folder), "--configfile", CONFIG)
    done = flow.snakemake(*elsewhere, *arguments)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.slow
def test_smoke_runs_to_its_tables(tmp_path: Path, warm: Callable[[Flow], None]) -> None:
    flow = clone(tmp_path / "clone", *(w.filename for w in WHEELS.values()))
    warm(flow)
    run = partial(snakemake, flow, tmp_path / "run")
    output = run("--logger", "timeleft")
    left = re.findall(r"(\d+) of (\d+) jobs done, about \d+ (?:s|min) left", output)
    assert left, output
    done, planned = zip(*left, strict=True)
    assert list(map(int, done)) == sorted(map(int, done)) and len(set(planned)) == 1
    assert "steps (100%) done" in output  # Snakemake's own lines are still there
    results = tmp_path / "run/results"
    assert (results / "tables" / "main.tex").read_text().count("\\toprule") == 1
    assert "Nothing to be done" in run()
    spec = from_json(TablesSpec, (results / "tables" / "spec.json").read_text())
    for name, content in render_all(results / "collected", spec).items():
        kind = "figures" if name.endswith((".pdf", ".svg", ".png")) else "tables"
        assert (results / kind / name).read_bytes() == content, name
    report = tmp_path / "report.html"
    run("--report", str(report))
    page = report.read_text(encoding="utf-8")
    for text in ("Main results", "Diagnostics", "Training curves", "main.csv"):
        assert text in page, text

"""The smoke configuration, whole: to the tables, again with nothing to do, redrawn, and
as a report."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from selfgen.core.spec import from_json
from selfgen.graph.sources import WHEELS
from selfgen.report import plot, tabulate
from selfgen.report.spec import TableSpec
from tests.flow import Flow, clone

CONFIG = "config/smoke.yaml"


def snakemake(flow: Flow, folder: Path, *arguments: str) -> str:
    """In a folder of its own, as ``make smoke`` does."""
    elsewhere = ("--cores", "2", "--directory", str(folder), "--configfile", CONFIG)
    done = flow.snakemake(*elsewhere, *arguments)
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
    output = run("--logger", "timeleft")
    left = re.findall(r"(\d+) of (\d+) jobs done, about \d+ (?:s|min) left", output)
    assert left, output
    done, planned = zip(*left, strict=True)
    assert list(map(int, done)) == sorted(map(int, done)) and len(set(planned)) == 1
    assert "steps (100%) done" in output  # Snakemake's own lines are still there
    results = tmp_path / "run/results"
    assert (results / "tables" / "main.tex").read_text().count("\\toprule") == 1
    assert "Nothing to be done" in run()
    for path in (results / "tables").glob("*.json"):
        spec = from_json(TableSpec, path.read_text())
        drawn = tabulate.texts(spec, _collected(results))
        for kind, text in drawn.items():
            assert path.with_suffix(f".{kind}").read_text() == text, spec.name
    for name in ("main", "curves"):
        drawn = plot.images(replace(spec, kind=name, name=name), _collected(results))
        for kind, content in drawn.items():
            assert (results / "figures" / f"{name}.{kind}").read_bytes() == content
    report = tmp_path / "report.html"
    run("--report", str(report))
    page = report.read_text(encoding="utf-8")
    for text in ("Tables", "Figures", "Training loss per labelled token", "main.csv"):
        assert text in page, text

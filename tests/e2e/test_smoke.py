"""The smoke configuration, whole: to the tables, again with nothing to do, redrawn, and
as a report."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from selfgen.report.render import render_all
from selfgen.report.spec import TablesSpec
from selfgen.specs import from_json

ROOT = Path(__file__).parents[2]


def snakemake(folder: Path, *arguments: str) -> str:
    """A run that is not activated: only the interpreter's absolute path is known."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--configfile", str(ROOT / "config" / "smoke.yaml")]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": "/usr/local/bin:/usr/bin:/bin"},
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_smoke_runs_to_its_tables(tmp_path: Path) -> None:
    output = snakemake(tmp_path, "--logger", "timeleft")
    left = re.findall(r"(\d+) of (\d+) jobs done, about \d+ (?:s|min) left", output)
    assert left, output
    done, planned = zip(*left, strict=True)
    assert list(map(int, done)) == sorted(map(int, done)) and len(set(planned)) == 1
    assert "steps (100%) done" in output  # Snakemake's own lines are still there
    results = tmp_path / "results"
    assert (results / "tables" / "main.tex").read_text().count("\\toprule") == 1
    assert "Nothing to be done" in snakemake(tmp_path)
    spec = from_json(TablesSpec, (results / "tables" / "spec.json").read_text())
    for name, content in render_all(results / "collected", spec).items():
        kind = "figures" if name.endswith((".pdf", ".svg", ".png")) else "tables"
        assert (results / kind / name).read_bytes() == content, name
    report = tmp_path / "report.html"
    snakemake(tmp_path, "--report", str(report))
    page = report.read_text(encoding="utf-8")
    for text in ("Main results", "Diagnostics", "Training curves", "main.csv"):
        assert text in page, text

"""``selfgen bench plan``: real plans of Snakemake, and one that it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from selfgen.bench import harness, plan
from selfgen.cli.main import main


def bench(*argv: str | Path) -> int:
    return main(["bench", "plan", "--repeats", "1", *map(str, argv)])


def test_a_plan_is_timed_beside_the_start_of_snakemake(tmp_path: Path) -> None:
    more = tmp_path / "more.yaml"
    more.write_text("seeds: [0, 1, 2, 3]\n")
    folder = ["--directory", tmp_path, "--out", tmp_path]
    configs = ["--config", "config/smoke.yaml", "--config", "config/smoke.yaml", more]
    assert bench(*folder, *configs) == 0
    runs = json.loads((tmp_path / "plan.json").read_text())
    names = [plan.START, "smoke", "smoke + more"]
    assert [timing["name"] for timing in runs["timings"]] == names
    alone, smoke, longer = runs["timings"]
    assert "jobs" not in alone["notes"]
    assert 0 < smoke["notes"]["jobs"] < longer["notes"]["jobs"]
    assert 0 < alone["seconds"][0] < smoke["seconds"][0]
    assert "snakemake 9" in (tmp_path / "plan.md").read_text()
    assert not (tmp_path / "results").exists()


def test_nothing_to_do_is_no_job() -> None:
    timing = harness.Timing("a", {}, 0, [2.0, 1.0, 4.0])
    timing.notes = plan._planned([sys.executable, "-c", "print('Nothing to be done')"])
    del timing.notes["memory_mb"]
    assert plan.page([timing]).splitlines()[-1] == "| a | 0 | 2.00 | 1.00 | 4.00 |"


def test_what_snakemake_refuses_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("seedz: 1\n")
    folder = ["--directory", tmp_path, "--out", tmp_path]
    assert bench(*folder, "--config", "config/smoke.yaml", wrong) == 1
    said = capsys.readouterr().err.strip()
    assert said.count("\n") == 0
    assert "bench plan: Snakemake ended with 1: " in said and "seedz" in said
    assert bench(*folder, "--config", tmp_path / "none.yaml") == 1
    assert "none.yaml: found no such file" in capsys.readouterr().err

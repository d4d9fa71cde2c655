"""What a run shows of itself: plans, progress, failures, and a second terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from selfgen.cli.main import main
from snakemake_logger_plugin_selfgen import plan
from snakemake_logger_plugin_selfgen.run import PLACE, Job, Run, span


def test_few_jobs_are_named_with_their_reasons() -> None:
    jobs = [
        Job("mix_rows", "mix_rows a/b/0", (), "Params have changed:\n  spec"),
        Job("plot", "plot"),
    ]
    assert [*plan.lines(jobs)] == [
        "2 jobs would run:",
        "  mix_rows a/b/0",
        "      Params have changed: spec",
        "  plot",
        "      asked for",
    ]
    assert [*plan.lines([])] == []
    (_, _, reason) = plan.lines(
        [Job("plot", "plot", (), "Missing output files: " + "x" * 200)]
    )
    assert reason.endswith("x …") and len(reason.strip()) == plan.LONGEST


def test_many_jobs_are_counted_by_rule_and_reason() -> None:
    missing, updated = "Missing output files: a.parquet, b", "Updated input files: c"
    jobs = [Job("mix_rows", f"mix_rows {n}", (), missing) for n in range(20)]
    jobs += [
        Job("finetune", f"finetune {n}", (), updated if n else missing)
        for n in range(3)
    ]
    assert [*plan.lines(jobs)] == [
        "23 jobs would run:",
        "  mix_rows    20  missing output files",
        "  finetune     3  updated input files (2), missing output files (1)",
        "each job with its files and command: -n -p",
    ]


def test_a_job_tells_how_far_it_is(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    job = Job("finetune", "finetune a/b/0", [str(log)])
    assert job.progress() == ""
    log.write_text("09:58:19 finetune a/b/0: step 19 of 96, 10 min left\n")
    assert job.progress() == "step 19 of 96, 10 min left"
    with log.open("a") as file:
        file.write(
            "Map:  10%|#   | 1/10\rMap: 100%|####| 10/10\nUsing default tokenizer.\n"
        )
    assert job.progress() == "step 19 of 96, 10 min left"
    with log.open("a") as file:
        file.write("x" * 9000 + "\n10:00:00 finetune a/b/0: step 96 of 96, 0 s left\n")
    assert job.progress() == "step 96 of 96, 0 s left"


def test_a_failure_is_one_line_where_it_says_one(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    job = Job("finetune", "finetune a/b/0", [str(log)])
    log.write_text("start\n\n" + "".join(f"line {n}\n" for n in range(30)))
    assert job.failure(2) == ["line 28", "line 29"]
    with log.open("a") as file:
        file.write("error: records: found none\nlater\n")
    assert job.failure() == ["error: records: found none"]


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (5400, "1.5 h")]
)
def test_spans(seconds: float, said: str) -> None:
    assert span(seconds) == said


def test_a_second_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def status() -> str:
        monkeypatch.chdir("/")
        assert main(["status", str(tmp_path)]) == 0
        monkeypatch.chdir(tmp_path)
        return capsys.readouterr().out

    monkeypatch.chdir(tmp_path)
    assert main(["status"]) == 1
    assert "found no run, allowed: the folder of one" in capsys.readouterr().err
    PLACE.parent.mkdir()
    Path("job.log").write_text("10:00:00 a 1: row 1 of 2, 3 s left\n")
    now = time.time()
    run = Run({"a": 4})
    run.start(1, Job("a", "a 1", ["job.log"], began=now - 10))
    run.start(2, Job("a", "a 2", [], began=now - 100))
    run.write(now)
    assert (
        status()
        == "0 of 4 jobs done\n  a 1: 10 s  row 1 of 2, 3 s left\n  a 2: 2 min\n"
    )
    run.finish(1, now)
    run.fail(2)
    run.start(3, Job("a", "a 3", [], began=now))
    run.write(now)
    assert status() == "1 of 4 jobs done, about 30 s left\nfailed: a 2\n  a 3: 0 s\n"
    run.write(now - 60, ended=True)
    assert status() == "1 of 4 jobs done\nfailed: a 2\nended 60 s ago\n"
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True
    )
    run.write(now)
    state = json.loads(PLACE.read_text())
    assert state["pid"] == os.getpid()
    PLACE.write_text(json.dumps(state | {"pid": int(gone.stdout)}))
    assert "its process is gone; the same command goes on" in status()
    # Of another machine's processes nothing is known here.
    PLACE.write_text(json.dumps(state | {"pid": int(gone.stdout), "host": "elsewhere"}))
    assert "  a 3: " in status()

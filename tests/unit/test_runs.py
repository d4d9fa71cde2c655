"""A lock that a killed run left behind is told from that of a live one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from selfgen.core.errors import UserError
from selfgen.runtime import runs

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/ns/pid").exists(), reason="processes are looked up in /proc"
)
BEGIN = """
import subprocess, sys
from selfgen.runtime import runs
print(runs.begin(sys.argv[1] == "queued", "CURE"), flush=True)
job = subprocess.Popen(["sleep", "60"]) if sys.argv[1] == "job" else None
print(job.pid if job else "ready", flush=True)
sys.stdin.read()
"""


def start(folder: Path, kind: str = "") -> tuple[subprocess.Popen[str], str, str]:
    """A main process that lives until its input ends; what it said, and its job."""
    process = subprocess.Popen(
        [sys.executable, "-c", BEGIN, kind],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    said, job = (process.stdout.readline().strip() for _ in range(2))
    return process, said, job


def killed(folder: Path, kind: str = "") -> str:
    """A main process that locked and was killed; its job."""
    process, _, job = start(folder, kind)
    lock(folder)
    process.kill()
    process.wait()
    return job


def lock(folder: Path) -> Path:
    path = folder / runs.LOCKS / "0.output.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("results/a\n")
    return path


@pytest.fixture(autouse=True)
def nothing_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(runs.RUN, "")
    yield


def test_the_lock_of_a_killed_run_goes(tmp_path: Path) -> None:
    killed(tmp_path)
    process, said, _ = start(tmp_path)
    assert said == "The last run here was killed: its lock is removed."
    assert not list((tmp_path / runs.LOCKS).glob("*"))
    assert [run.pid for run in runs.runs(tmp_path)] == [process.pid]
    process.communicate("")
    assert runs.runs(tmp_path) == []


def test_the_lock_of_a_live_run_stays(tmp_path: Path) -> None:
    killed(tmp_path)
    first, _, _ = start(tmp_path)
    path = lock(tmp_path)
    second, said, _ = start(tmp_path)
    assert said == "" and path.exists()
    second.communicate("")
    with pytest.raises(UserError, match=f"a run is alive: process {first.pid}"):
        runs.end(tmp_path)
    first.communicate("")


def test_one_that_has_the_number_of_a_dead_process_is_another(tmp_path: Path) -> None:
    killed(tmp_path)
    (run,) = runs.runs(tmp_path)
    written = json.loads(run.path.read_text())
    run.path.write_text(json.dumps(written | {"pid": os.getpid()}))
    process, said, _ = start(tmp_path)
    assert said.endswith("its lock is removed.")
    process.communicate("")


def test_jobs_that_outlive_a_run_are_named_and_ended(tmp_path: Path) -> None:
    job = killed(tmp_path, "job")
    process, said, _ = start(tmp_path)
    process.communicate("")
    assert said == (
        "The last run here was killed, and its jobs still work: processes"
        f" {job}. End them and go on with: CURE"
    )
    assert list((tmp_path / runs.LOCKS).glob("*"))
    assert runs.end(tmp_path) == [int(job)]
    assert runs._started(int(job)) == ""
    assert runs.runs(tmp_path) == []


@pytest.mark.parametrize("key", ["machine", "queued"])
def test_where_nothing_is_known_the_lock_stays(tmp_path: Path, key: str) -> None:
    killed(tmp_path, key)
    (run,) = runs.runs(tmp_path)
    if key == "machine":
        written = json.loads(run.path.read_text())
        run.path.write_text(json.dumps(written | {key: "another", "host": "node7"}))
    process, said, _ = start(tmp_path)
    process.communicate("")
    known = {
        "machine": "Locked by a run on node7; from here it cannot be seen whether it ended."
        " If it has, go on with: CURE",
        "queued": "The last run here was killed, and its jobs may still be in the queue."
        " Cancel them (those of Slurm, this does) and go on with: CURE",
    }
    assert said == known[key]
    assert list((tmp_path / runs.LOCKS).glob("*"))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"id": "x"}', '{"of": "another"}'])
def test_a_record_that_cannot_be_read_may_be_that_of_a_live_run(
    tmp_path: Path, text: str
) -> None:
    """Also beside one of a run that is known to be dead."""
    killed(tmp_path, "")
    path = runs.RECORDS / "x.json"
    (tmp_path / path).write_text(text)
    process, said, _ = start(tmp_path)
    process.communicate("")
    assert said.startswith(f"Locked by a run on a machine that {path} does not tell; ")
    assert list((tmp_path / runs.LOCKS).glob("*"))
    assert runs.end(tmp_path) == [] and not (tmp_path / path).exists()


def test_a_lock_of_which_nobody_left_a_record_stays(tmp_path: Path) -> None:
    path = lock(tmp_path)
    process, said, _ = start(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert said == "" and path.exists()

"""What a run does with files that somebody changed, lost or may not write."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet
import pytest

from selfgen.graph.sources import WHEELS
from tests.flow import Flow

pytestmark = pytest.mark.slow
RUN = ("--configfile", "small.yaml", "--cores", "2")
WHEEL = f"resources/wheels/{WHEELS['wiki'].filename}"


def errors(output: str) -> list[str]:
    """What steps said, in the logs that Snakemake shows."""
    return [line for line in output.splitlines() if line.startswith("error: ")]


def tables(flow: Flow) -> dict[str, bytes]:
    found = (flow.root / "results" / "tables").glob("main.*")
    return {path.name: path.read_bytes() for path in found}


def test_an_edited_file_is_named_and_made_anew_once_it_is_gone(
    flow: Flow, warm: Callable[[Flow], None]
) -> None:
    warm(flow)
    before = tables(flow)
    results = flow.root / "results"
    answers = results / "answers/descriptions/tiny/base/direct/seed0.parquet"
    weights = results / "models/descriptions/tiny/bash/seed0/weights/model.safetensors"
    rows = pyarrow.parquet.read_table(answers)
    pyarrow.parquet.write_table(rows.slice(0, 3), answers)
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    # Of a folder, Snakemake knows the time of this file alone.
    os.utime(weights.parent / ".snakemake_timestamp")

    done = flow.snakemake(*RUN, "--keep-going")
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    said = errors(done.stdout)
    for line in said:
        assert re.search("changed since [a-z_]+ made it: found sha256 ", line), line
        assert "delete it" in line
    assert {line.split(": ")[1] for line in said} == {
        str(path.relative_to(flow.root)) for path in (answers, weights.parent)
    }

    answers.unlink()
    shutil.rmtree(weights.parent)
    done = flow.snakemake(*RUN)
    assert done.returncode == 0, done.stdout
    assert tables(flow) == before


def test_a_swapped_download_is_refused_and_a_lost_one_is_not_missed(flow: Flow) -> None:
    wheel = flow.root / WHEEL
    kept = wheel.read_bytes()
    wheel.write_bytes(kept[:-1] + b"x")
    target = ("--", "results/records/descriptions.parquet")
    run = (*RUN, "--forcerun", "build_records", *target)
    done = flow.snakemake(*run)
    assert done.returncode != 0
    (line,) = errors(done.stdout)
    assert f"{WHEEL}: found sha256 " in line and ", pinned is 185348a40203;" in line
    wheel.write_bytes(kept)
    assert flow.snakemake(*run).returncode == 0
    wheel.unlink()
    assert "fetch_wheel" not in flow.rules("--configfile", "small.yaml")


def test_two_runs_in_one_folder(flow: Flow) -> None:
    """The second ends at once, and the first comes to its end."""
    target = ("--", "results/rows/descriptions/tiny/sft/seed0.parquet")
    before = (flow.root / target[1]).read_bytes()
    command = [Path(sys.executable).parent / "snakemake", *RUN]
    locks = flow.root / ".snakemake" / "locks"
    first = subprocess.Popen(
        [*command, "--forcerun", "build_records", *target],
        cwd=flow.root,
        env=os.environ | {"PYTHONPATH": "", "PATH": "/usr/bin:/bin"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while first.poll() is None and not list(locks.glob("*")):
        time.sleep(0.01)
    second = flow.snakemake(*RUN, *target)
    assert first.poll() is None, "the first was too fast"
    assert second.returncode != 0
    assert "Directory cannot be locked" in second.stdout
    assert first.wait(300) == 0
    assert (flow.root / target[1]).read_bytes() == before


HOLD = """\
import os, sys, time
while "build_records" in sys.orig_argv and os.path.exists("hold"):
    time.sleep(0.1)
"""


def test_a_run_is_killed_and_called_again(flow: Flow) -> None:
    """While its job lives on, the call is refused, and says what ends the job; after that it
    goes on, as it does at once where no job is left."""
    target = (
        "--forcerun",
        "build_records",
        "--",
        "results/records/descriptions.parquet",
    )
    before = (flow.root / target[-1]).read_bytes()
    (flow.root / "src" / "sitecustomize.py").write_text(HOLD)
    hold = flow.root / "hold"

    def killed() -> int:
        """The process of the job that is left."""
        hold.touch()
        run = subprocess.Popen(
            [Path(sys.executable).parent / "snakemake", *RUN, *target],
            cwd=flow.root,
            env=os.environ | {"PYTHONPATH": "", "PATH": "/usr/bin:/bin"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + 120
        while not (jobs := children(run.pid, b"selfgen step")):
            assert run.poll() is None and time.monotonic() < end
            time.sleep(0.1)
        run.kill()
        run.wait()
        return jobs[0]

    job = killed()
    done = flow.snakemake(*RUN, *target)
    assert done.returncode == 1 and "LockException" in done.stdout
    (said,) = [x for x in done.stdout.splitlines() if x.startswith("The last run")]
    assert f" {job}" in said
    command = shlex.split(said.partition(" go on with: ")[2])
    assert command[:5] == ["selfgen", "resume", "--directory", str(flow.root), "--"]
    assert command[5:] == ["-p", *RUN, *target]

    hold.unlink()
    named = said.partition(": processes ")[2].partition(".")[0]
    while any(works(int(pid)) for pid in named.split(", ")):
        time.sleep(0.1)
    done = flow.snakemake(*RUN, *target)
    assert done.returncode == 0, done.stdout
    assert "The last run here was killed: its lock is removed." in done.stdout

    job = killed()
    hold.unlink()  # the job itself has not seen it go
    os.kill(job, signal.SIGSTOP)
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=flow.root,
        env=os.environ | {"PYTHONPATH": str(flow.root / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith(f"ended: {job}")
    assert (flow.root / target[-1]).read_bytes() == before


def works(pid: int) -> bool:
    """One that has ended may be there until somebody asks how."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def children(pid: int, named: bytes = b"") -> list[int]:
    """Its children whose command line has some text; any may end while it is looked at."""

    def read(path: Path) -> bytes:
        try:
            return path.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return b""

    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    jobs = [int(child) for path in tasks for child in read(path).split()]
    commands = {job: read(Path(f"/proc/{job}/cmdline")) for job in jobs}
    return [job for job, command in commands.items() if command and named in command]


@pytest.fixture
def read_only(flow: Flow) -> Iterator[Path]:
    """Root may write everywhere but on a disk that is mounted so."""
    results = flow.root / "results"
    for step in (["--bind"], ["-o", "remount,ro,bind"]):
        mount = ["mount", *step, str(results), str(results)]
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
        if done.returncode:
            subprocess.run(["umount", results], check=False)
            pytest.skip(f"nothing can be mounted: {done.stderr.strip()}")
    yield results
    subprocess.run(["umount", results], check=True)


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("mount"), reason="only root mounts a disk"
)
def test_results_that_may_not_be_written(flow: Flow, read_only: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in read_only.rglob("*")}
    assert flow.rules("--configfile", "small.yaml") == {}
    done = flow.snakemake(*RUN, "--forcerun", "score_answers")
    assert done.returncode != 0
    assert "Write-protected output files for rule " in done.stdout
    assert "Traceback" not in done.stdout and "\nrule " not in done.stdout
    assert {path: path.stat().st_mtime_ns for path in read_only.rglob("*")} == before

"""One job a GPU: real processes that lock devices, wait, and are killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from selfgen import leases
from selfgen.cli.common import _device

JOB = """
import os, pathlib, sys
from selfgen import leases
leases.SECONDS = 0.05
from selfgen.specs import UserError
try:
    found = leases.take(int(sys.argv[2]), pathlib.Path(sys.argv[1]))
    print(",".join(found), os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
except UserError as error:
    print(error, flush=True)
if len(sys.argv) > 3:
    code = "import sys; print('became another', flush=True); sys.stdin.read()"
    os.execv(sys.executable, [sys.executable, "-c", code])
sys.stdin.read()
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    jobs = []

    def job(
        visible: str | None = "4,7", *arguments: str, **more: str
    ) -> subprocess.Popen[str]:
        hidden = ("CUDA_VISIBLE_DEVICES", *leases.SCHEDULERS)
        environment = {k: v for k, v in os.environ.items() if k not in hidden}
        if visible is not None:
            environment["CUDA_VISIBLE_DEVICES"] = visible
        jobs.append(
            subprocess.Popen(
                [sys.executable, "-c", JOB, tmp_path / "locks", *(arguments or ("1",))],
                env=environment | more,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        return jobs[-1]

    yield job
    for process in jobs:
        process.kill()
        process.communicate()


def test_two_devices_and_three_jobs(start: Start) -> None:
    first, second = start(), None
    assert first.stdout.readline() == "4 4\n"
    second = start()
    assert second.stdout.readline() == "7 7\n"
    third = start()
    os.set_blocking(third.stdout.fileno(), False)
    with pytest.raises(subprocess.TimeoutExpired):
        third.wait(1.0)
    assert not third.stdout.readline(), "both are taken"
    os.set_blocking(third.stdout.fileno(), True)
    second.kill()
    assert third.stdout.readline() == "7 7\n", "a killed job holds nothing"


def test_other_devices_are_not_waited_for(start: Start) -> None:
    assert start("0").stdout.readline() == "0 0\n"
    assert start("0,MIG-a/b").stdout.readline() == "MIG-a/b MIG-a/b\n"


def test_a_scheduler_has_chosen(start: Start) -> None:
    for _ in range(2):
        job = start("4,7", SLURM_JOB_ID="12")
        assert job.stdout.readline() == " 4,7\n"


def test_no_device(start: Start) -> None:
    assert start("").stdout.readline() == " \n"


def test_all_devices_of_a_job_or_none(start: Start) -> None:
    """With one of three taken, a job of two gets the others and one of three waits; the
    locks stay when a job becomes its launcher."""
    one = start("0,1,2")
    assert one.stdout.readline() == "0 0\n"
    two = start("0,1,2", "2", "exec")
    assert two.stdout.readline() == "1,2 1,2\n"
    assert two.stdout.readline() == "became another\n"
    three = start("0,1,2", "3")
    os.set_blocking(three.stdout.fileno(), False)
    one.kill()
    with pytest.raises(subprocess.TimeoutExpired):
        three.wait(1.0)
    assert not three.stdout.readline()
    os.set_blocking(three.stdout.fileno(), True)
    two.kill()
    assert three.stdout.readline() == "0,1,2 0,1,2\n"
    said = start("0,1", "3").stdout.readline()
    assert said == "GPUs: found 0, 1, needed are 3\n"


def test_where_a_spec_names_its_device() -> None:
    assert _device({"device": {"device": "cuda", "precision": "bf16"}}) == "cuda"
    assert (
        _device({"proxy": {"device": {"device": "auto"}}, "endpoint": None}) == "auto"
    )
    assert _device({"endpoint": {"model": "x"}, "proxy": None}) is None

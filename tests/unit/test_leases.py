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
device = leases.take(pathlib.Path(sys.argv[1]))
print(device, os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
sys.stdin.read()
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    jobs = []

    def job(visible: str | None = "4,7", **more: str) -> subprocess.Popen[str]:
        hidden = ("CUDA_VISIBLE_DEVICES", *leases.SCHEDULERS)
        environment = {k: v for k, v in os.environ.items() if k not in hidden}
        if visible is not None:
            environment["CUDA_VISIBLE_DEVICES"] = visible
        jobs.append(
            subprocess.Popen(
                [sys.executable, "-c", JOB, str(tmp_path / "locks")],
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
        assert job.stdout.readline() == "None 4,7\n"


def test_no_device(start: Start) -> None:
    assert start("").stdout.readline() == "None \n"


def test_where_a_spec_names_its_device() -> None:
    assert _device({"device": {"device": "cuda", "precision": "bf16"}}) == "cuda"
    assert (
        _device({"proxy": {"device": {"device": "auto"}}, "endpoint": None}) == "auto"
    )
    assert _device({"endpoint": {"model": "x"}, "proxy": None}) is None

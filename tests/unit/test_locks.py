"""One job a GPU: real processes that lock devices, wait, and are killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests import steps
from tests.unit.test_training import SPEC, rows

from selfgen.core.rows import write_rows
from selfgen.data.chat_templates import CHATML
from selfgen.models import base
from selfgen.models.base import ModelSpec
from selfgen.runtime import locks

JOB = """
import os, pathlib, sys
from selfgen.runtime import locks
locks.SECONDS = 0.05
from selfgen.core.errors import UserError
try:
    found = locks.take(int(sys.argv[2]), pathlib.Path(sys.argv[1]))
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
        hidden = ("CUDA_VISIBLE_DEVICES", *locks.SCHEDULERS)
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


HOLD = """
import pathlib, sys
from selfgen.runtime import locks
locks.SECONDS = 0.05
folder = pathlib.Path(sys.argv[1])
print(locks.hold(folder), flush=True)
sys.stdin.readline()
locks.drop(folder)
"""


def test_the_folder_of_a_training_is_one_job_s(tmp_path: Path) -> None:
    """The second waits, and is told that it had to; a killed job lets go as well."""
    folder = tmp_path / "scratch" / "0123abcd"

    def job() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", HOLD, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    first = job()
    assert first.stdout.readline() == "False\n"
    second = job()
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(1.5)
    first.kill()
    assert second.stdout.readline() == "True\n"
    second.communicate("done\n")
    assert not list(folder.parent.iterdir())
    third = job()
    assert third.stdout.readline() == "False\n"
    third.communicate("\n")
    first.communicate()


def test_what_another_job_has_trained_meanwhile_is_not_trained_again(
    tmp_path: Path, path: str
) -> None:
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    shape |= {"num_attention_heads": 2}
    model = ModelSpec("random", None, CHATML, "llama", shape)
    base.prepare(model, None, tmp_path / "base")
    write_rows(tmp_path / "rows.parquet", rows(4))
    scratch = tmp_path / "scratch"
    train = steps.training(SPEC, tmp_path, tmp_path, scratch=scratch)
    how = {"env": os.environ | {"PYTHONPATH": path}, "text": True}
    jobs = [subprocess.Popen(train, stderr=subprocess.PIPE, **how) for _ in range(2)]
    said = [job.communicate(timeout=120)[1] for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], said
    assert sorted("done by another job" in text for text in said) == [False, True]
    assert len((tmp_path / "curve.jsonl").read_text().splitlines()) == 4

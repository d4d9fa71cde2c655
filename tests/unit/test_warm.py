"""A warm job is like any other: it says the same, ends the same, and dies with its caller."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.flow import Flow, clone

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="forks are of Linux"),
]
TOLD = """
if "TOLD" in os.environ:
    import time
    with open(os.environ["TOLD"], "x") as file:
        file.write(f"{os.getpid()} {os.getppid()}")
    time.sleep(600)
"""


def start(root: Path, *argv: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "selfgen", *argv],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root / "src")} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def alive(process: int) -> bool:
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # before, or while it is read
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_as_any_other(tmp_path: Path, warm: Callable[[Flow], None]) -> None:
    flow = clone(tmp_path / "clone")
    said = {}
    for kind in ("cold", "warm"):
        for argv in (
            ("plan",),
            ("plan", "nothing.yaml"),
            ("plan", "--help"),
            ("nope",),
        ):
            job = start(flow.root, *argv)
            said[kind, *argv] = (*job.communicate(timeout=60), job.returncode)
        if kind == "cold":
            warm(flow)
    for (kind, *argv), found in said.items():
        assert found == said["cold", *argv], (kind, argv)
    assert {found[2] for found in said.values()} == {0, 1, 2}


def test_it_dies_with_its_caller(tmp_path: Path, warm: Callable[[Flow], None]) -> None:
    flow = clone(tmp_path / "clone")
    warm(flow)
    with (flow.root / "src" / "sitecustomize.py").open("a") as file:
        file.write(TOLD)
    told = tmp_path / "told"
    job = start(flow.root, "plan", TOLD=str(told))
    while not (told.exists() and told.read_text()):
        time.sleep(0.01)
    fork, attendant = map(int, told.read_text().split())
    assert fork != job.pid and alive(fork) and alive(attendant)
    job.kill()
    job.wait()
    end = time.monotonic() + 30
    while alive(fork) or alive(attendant):
        assert time.monotonic() < end
        time.sleep(0.01)

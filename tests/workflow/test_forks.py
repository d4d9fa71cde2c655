"""Steps of a run on this machine are forks of one process, and like any other: they write
the same, are told what their callers are told, end with them, and start without it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from selfgen.runtime import forks
from selfgen.runtime.forks import READY, send, status
from tests import warm
from tests.flow import Flow

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="forks are of Linux"),
]
RUN = ("--cores", "2", "--configfile", "small.yaml")
TABLES = ("--forcerun", "tabulate")

LOOK = """\
import os, sys
if "-m" in sys.orig_argv and "step" in sys.orig_argv or hasattr(sys, "forked"):
    with open("told", "a") as file:
        print(os.getpid(), hasattr(sys, "forked"), file=file)
"""
"""Of each step: as it is called, and as a fork."""

HOLD = """\
import os, sys, time
if hasattr(sys, "forked"):
    with open("told", "a") as file:
        print(os.getpid(), file=file)
    time.sleep(600)
"""


def watch(flow: Flow, text: str) -> Path:
    (flow.root / "src" / "sitecustomize.py").write_text(text)
    return flow.root / "told"


def files(flow: Flow) -> dict[str, bytes]:
    folder = flow.root / "results" / "tables"
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.*"))}


def started(flow: Flow, *arguments: str) -> subprocess.Popen[bytes]:
    """A run as a user calls it, in a group of its own."""
    environment = {k: v for k, v in os.environ.items() if k != forks.VARIABLE}
    return subprocess.Popen(
        [Path(sys.executable).parent / "snakemake", *RUN, *arguments],
        cwd=flow.root,
        env=environment | {"PYTHONPATH": "", "PATH": "/usr/bin:/bin"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def until(said: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not said():
        assert time.monotonic() < end
        time.sleep(0.05)


def of(folder: Path) -> Iterator[int]:
    """The live processes that work in a folder."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            inside = (path / "cwd").readlink() == folder
            state = (path / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if inside and state != "Z":
            yield int(path.name)


def test_a_run_starts_it_and_ends_it(flow: Flow) -> None:
    before, told = files(flow), watch(flow, LOOK)
    run = started(flow, *TABLES)
    assert run.wait() == 0
    lines = [line.split() for line in told.read_text().splitlines()]
    called = {process for process, forked in lines if forked == "False"}
    forked = {process for process, forked in lines if forked == "True"}
    assert len(called) == len(forked) >= 3
    assert not called & forked
    assert files(flow) == before
    until(lambda: not [*of(flow.root)])


@pytest.mark.parametrize(
    "server", ["", "nowhere", "dead"], ids=["none", "gone", "died while it loaded"]
)
def test_without_one(flow: Flow, server: str, tmp_path: Path) -> None:
    before, told = files(flow), watch(flow, LOOK)
    flow.server = None
    with forks.serving(os.environ, ["no_such_library"]) as dead:
        path = {"dead": dead, "": ""}.get(server, str(tmp_path / server))
        done = flow.plain(*RUN, *TABLES, **{forks.VARIABLE: path})
    assert done.returncode == 0, done.stdout
    assert "True" not in told.read_text()
    assert files(flow) == before


def step(flow: Flow, forks: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "selfgen", "step", "tabulate", "--spec", "{}"],
        cwd=flow.root,
        env=os.environ
        | {"PYTHONPATH": str(flow.root / "src"), "SELFGEN_FORKS": str(forks)},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)]
)
def test_a_signal_goes_on(
    flow: Flow, forks: Path, number: signal.Signals, status: int
) -> None:
    if signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip("this run is in the background, where nobody is interrupted")
    told = watch(flow, HOLD)
    called = step(flow, forks)
    until(lambda: told.exists() and told.read_text().endswith("\n"))
    called.send_signal(number)
    called.communicate()
    assert called.returncode == status
    until(lambda: not [*of(flow.root)])


def test_one_that_the_system_kills_says_so(flow: Flow, forks: Path) -> None:
    told = watch(flow, HOLD)
    called = step(flow, forks)
    until(lambda: told.exists() and told.read_text().endswith("\n"))
    os.kill(int(told.read_text()), signal.SIGKILL)
    _, said = called.communicate()
    assert called.returncode == 137
    assert said.startswith("selfgen: the step was killed") and said.count("\n") == 1


def test_one_that_cannot_start_says_so(forks: Path, tmp_path: Path) -> None:
    script = tmp_path / "hello.py"
    script.write_text("print('hello')")
    done = warm.run(forks, [str(script)], tmp_path, dict(os.environ))
    assert (done.returncode, done.stdout) == (0, "hello\n")
    done = warm.run(forks, [str(script)], tmp_path / "gone", dict(os.environ))
    assert done.returncode == 1
    assert done.stdout.startswith("selfgen: the step had no process")
    assert done.stdout.count("\n") == 1


def test_a_run_that_is_killed_takes_them_along(flow: Flow) -> None:
    """By its group, so that nobody of it can clean up."""
    told = watch(flow, HOLD)
    run = started(flow, *TABLES)
    until(lambda: told.exists() and told.read_text().endswith("\n"))
    assert [*of(flow.root)]
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    until(lambda: not [*of(flow.root)])


def test_threads_of_torch_are_those_of_the_environment(
    forks: Path, tmp_path: Path
) -> None:
    script = tmp_path / "threads.py"
    script.write_text("import torch; print(torch.get_num_threads())")
    plain = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}

    def found(**more: str) -> str:
        return warm.run(forks, [str(script)], tmp_path, plain | more).stdout.strip()

    assert found(OMP_NUM_THREADS="3") == found(OMP_NUM_THREADS="3,1") == "3"
    assert found(OMP_NUM_THREADS="0") == found(OMP_NUM_THREADS="some") == found()


def test_one_whose_reader_is_gone_ends_as_it_ends(forks: Path, tmp_path: Path) -> None:
    script = tmp_path / "unread.py"
    script.write_text(
        "import sys\n"
        "sys.stdout.reconfigure(write_through=False)  # also where PYTHONUNBUFFERED is set\n"
        "print('unread')\n"
        "sys.exit(7)"
    )
    out, into = os.pipe()
    os.close(out)
    with socket.socket(socket.AF_UNIX) as client, Path(os.devnull).open() as nothing:
        client.connect(str(forks))
        assert client.recv(len(READY)) == READY
        files = (nothing.fileno(), into, into)
        send(client, [str(script)], files, sys.path, tmp_path, dict(os.environ))
        os.close(into)
        assert status(client) == 7

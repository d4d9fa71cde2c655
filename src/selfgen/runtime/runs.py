"""Which runs of Snakemake a folder has: one record each, so that a lock which a killed run
left behind is known from that of a live one.

Snakemake's own lock names files and no process. So every main process of the workflow leaves
a record before it may lock, and takes it away at its end. Processes are looked up in /proc;
where there is none, nothing is known of them, and Snakemake's lock stays as it is.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import socket
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from selfgen.core.errors import UserError

LOCKS, RECORDS = Path(".snakemake/locks"), Path(".snakemake/selfgen")
RUN = "SELFGEN_RUN"
"""Variable by which the local jobs of a run are known."""

PROC = Path("/proc")


@dataclass(frozen=True)
class Run:
    """A main process. ``machine``: the start of its machine, its space of process ids, and
    its user; ``started``: when the process was, in ticks; ``queued``: whether its jobs are
    jobs of a scheduler, which may outlive it."""

    id: str
    pid: int
    started: str
    machine: str
    host: str
    queued: bool
    path: Path = field(default=Path(), compare=False)

    def here(self) -> bool:
        """Whether it ran where its processes can be looked up."""
        return self.machine == _machine() != ""

    def alive(self) -> bool:
        return _started(self.pid) == self.started

    def left(self) -> list[int]:
        """Its local jobs that still run."""
        mark = f"{RUN}={self.id}".encode()
        return [pid for pid in _processes() if mark in _environment(pid)]


def begin(queued: bool, cure: str, folder: Path = Path()) -> str:
    """Record this process as a run in ``folder``, and remove a lock of which it is sure that
    no process holds it. Returns what to say of the lock; often nothing. ``cure``: the command
    that goes on where it is not sure.

    Two that begin at once see each other, so at most one of them removes what it found
    before it looked; what is locked later has another name or is not touched.
    """
    locks = list((folder / LOCKS).glob("*"))
    try:
        own = _record(queued, folder)
    except OSError:  # a folder that may be read only is planned in, and not locked
        return ""
    dead = [run for run in runs(folder) if run.id != own.id]
    if any(run.here() and run.alive() for run in dead):
        return ""
    if not locks:
        _forget(run for run in dead if run.here())
    if not locks or not dead:
        return ""
    if why := _doubt(dead):
        return f"{why}: {cure}"
    for path in locks:
        path.unlink(missing_ok=True)
    _forget(dead)
    return "The last run here was killed: its lock is removed."


def end(folder: Path) -> list[int]:
    """End the local jobs that dead runs left behind, and forget these runs. Returns the
    processes.

    Raises UserError: a run is alive.
    """
    found = runs(folder)
    for run in found:
        if run.here() and run.alive():
            raise UserError(f"{folder}: a run is alive: process {run.pid}")
    left = [pid for run in found if run.here() for pid in run.left()]
    for number in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + 10
        while alive := [pid for run in found if run.here() for pid in run.left()]:
            for pid in alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            if time.monotonic() > until:
                break
            time.sleep(0.1)
    _forget(found)
    return left


def runs(folder: Path) -> list[Run]:
    """The records of a folder. One that cannot be read may be that of a live run, of another
    user or of another version, which is not here as far as anybody knows."""
    found = []
    for path in sorted((folder / RECORDS).glob("*.json")):
        try:
            found.append(Run(**json.loads(path.read_text()), path=path))
        except FileNotFoundError:
            continue  # its run has ended
        except (OSError, ValueError, TypeError):
            nowhere = f"a machine that {path} does not tell"
            found.append(Run(path.stem, 0, "", "", nowhere, False, path))
    return found


def _record(queued: bool, folder: Path) -> Run:
    name, pid = uuid.uuid4().hex, os.getpid()
    run = Run(name, pid, _started(pid), _machine(), socket.gethostname(), queued)
    path = folder / RECORDS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".tmp")
    said = {key: value for key, value in asdict(run).items() if key != "path"}
    partial.write_text(json.dumps(said))
    partial.replace(path)
    atexit.register(_at_end, path.absolute(), pid)
    os.environ[RUN] = name
    return run


def _at_end(path: Path, pid: int) -> None:
    if os.getpid() == pid:  # not at the end of a fork
        path.unlink(missing_ok=True)


def _doubt(dead: list[Run]) -> str:
    """Why a lock may be held, where nobody is seen that holds it, and what a cure does."""
    if away := [run for run in dead if not run.here()]:
        where = ", ".join(sorted({run.host for run in away}))
        return (
            f"Locked by a run on {where}; from here it cannot be seen whether it ended. If"
            " it has, go on with"
        )
    if left := [pid for run in dead for pid in run.left()]:
        named = ", ".join(map(str, left))
        return (
            f"The last run here was killed, and its jobs still work: processes {named}."
            " End them and go on with"
        )
    if any(run.queued for run in dead):
        return (
            "The last run here was killed, and its jobs may still be in the queue. Cancel"
            " them (those of Slurm, this does) and go on with"
        )
    return ""


def _forget(dead: Iterator[Run] | list[Run]) -> None:
    for run in dead:
        run.path.unlink(missing_ok=True)


def _machine() -> str:
    """The start of the machine, the space of its process ids, and the user, whose processes
    can be looked into; "" where it tells none."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {(PROC / 'self/ns/pid').readlink()} {os.getuid()}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When a process began, in ticks since the machine did; "" where it has ended."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return ""
    # After the name, which may hold anything; the first of them is the state.
    fields = text.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]


def _processes() -> list[int]:
    return [int(path.name) for path in PROC.glob("[0-9]*") if path.name.isdigit()]


def _environment(pid: int) -> list[bytes]:
    try:
        return (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return []

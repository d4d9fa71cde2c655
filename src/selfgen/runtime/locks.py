"""Locks that a job holds while its process lives: one for each GPU of this machine that it
uses, and one for the folder of its training state."""

from __future__ import annotations

import logging
import os
import re
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from selfgen.core.errors import UserError

log = logging.getLogger(__name__)

VISIBLE = "CUDA_VISIBLE_DEVICES"
SCHEDULERS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID", "LOCAL_RANK")
"""Variables that a scheduler sets in its jobs, or a launcher in its processes: the devices
are chosen already."""

SECONDS = 1.0
"""Seconds between two attempts to lock."""

_held: list[FileLock] = []


def devices() -> list[str]:
    """The devices of this process: ``CUDA_VISIBLE_DEVICES``, else all of the machine."""
    if VISIBLE in os.environ:
        return [name for name in os.environ[VISIBLE].split(",") if name.strip()]
    matches = (
        re.fullmatch(r"nvidia(\d+)", p.name) for p in Path("/dev").glob("nvidia*")
    )
    return sorted((match[1] for match in matches if match), key=int)


def take(count: int = 1, folder: Path | None = None) -> list[str]:
    """Lock ``count`` devices, waiting until they are free, and let this process and its
    children see only them.

    Returns their names. Where there is no device, or a scheduler has chosen, it returns none
    and changes nothing. The locks end with the process, however it ends, but survive
    ``exec``. ``folder``: where the lock files are; by default a folder of this user among
    the temporary files.

    Raises UserError: there are fewer devices.
    """
    allowed = devices()
    if not allowed or any(name in os.environ for name in SCHEDULERS):
        return []
    if count > len(allowed):
        raise UserError(f"GPUs: found {', '.join(allowed)}, needed are {count}")
    folder = folder or Path(tempfile.gettempdir()) / f"selfgen-gpus-{os.getuid()}"
    waiting = False
    while True:
        # All or none: two jobs with a half each would wait for ever.
        locks = {name: _lock(folder, name) for name in allowed}
        free = [name for name, lock in locks.items() if lock.is_locked]
        taken = free[:count] if len(free) >= count else []
        for name in free[len(taken) :]:
            locks[name].release()
        if taken:
            _held.extend(locks[name] for name in taken)
            os.environ[VISIBLE] = ",".join(taken)
            log.info("GPU %s", os.environ[VISIBLE])
            return taken
        if not waiting:
            log.info("waiting for %d of the GPUs %s", count, ", ".join(allowed))
            waiting = True
        time.sleep(SECONDS)


def hold(folder: Path) -> bool:
    """Lock a folder, which need not exist, waiting while another job has it. Returns whether
    it had to wait. The lock is a file beside the folder."""
    lock = _lock(folder.parent, folder.name)
    if waited := not lock.is_locked:
        log.info("waiting for another job that has %s", folder)
        lock.acquire(poll_interval=SECONDS)
    _held.append(lock)
    return waited


def drop(folder: Path) -> None:
    """Remove the lock file of a folder that is no longer needed."""
    (folder.parent / f"{folder.name}.lock").unlink(missing_ok=True)


def _lock(folder: Path, device: str) -> FileLock:
    """A lock, held if nobody else has it; it stays when this process becomes another
    program, such as a launcher."""
    # It may be named by a UUID, or be a part of a device; the name is never a path.
    file = folder / (re.sub(r"[^\w-]", "_", device) + ".lock")
    lock = FileLock(file, on_acquired=lambda opened: os.set_inheritable(opened, True))
    with suppress(Timeout):
        lock.acquire(blocking=False)
    return lock

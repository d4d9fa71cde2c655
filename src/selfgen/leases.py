"""GPUs of this machine, one job each: a lock a device, held while its process lives."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import tempfile
import time
from pathlib import Path
from typing import IO

log = logging.getLogger(__name__)

VISIBLE = "CUDA_VISIBLE_DEVICES"
SCHEDULERS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID", "LOCAL_RANK")
"""Variables that a scheduler sets in its jobs, or a launcher in its processes; their choice
of devices stands."""

SECONDS = 1.0
"""Between two looks at devices that are all taken."""

_held: list[IO[str]] = []


def devices() -> list[str]:
    """What this process may see: ``CUDA_VISIBLE_DEVICES``, else every device there is."""
    if VISIBLE in os.environ:
        return [name for name in os.environ[VISIBLE].split(",") if name.strip()]
    found = (re.fullmatch(r"nvidia(\d+)", p.name) for p in Path("/dev").glob("nvidia*"))
    return sorted((match[1] for match in found if match), key=int)


def take(folder: Path | None = None) -> str | None:
    """Lock a device, waiting until one is free, and let this process see it alone.

    Returns its name; None, and nothing is changed, where there is none or where a scheduler
    has chosen. The lock goes with the process, however it ends. ``folder``: of the locks;
    by default one for each user among the temporary files.
    """
    allowed = devices()
    if not allowed or any(name in os.environ for name in SCHEDULERS):
        return None
    folder = folder or Path(tempfile.gettempdir()) / f"selfgen-gpus-{os.getuid()}"
    folder.mkdir(parents=True, exist_ok=True)
    waiting = False
    while True:
        for device in allowed:
            # It may be a UUID, or of a part of a device; it is never a path.
            name = re.sub(r"[^\w-]", "_", device)
            file = (folder / f"{name}.lock").open("w")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                continue
            _held.append(file)
            os.environ[VISIBLE] = device
            log.info("GPU %s", device)
            return device
        if not waiting:
            log.info("waiting for a GPU: %s are taken", ", ".join(allowed))
            waiting = True
        time.sleep(SECONDS)

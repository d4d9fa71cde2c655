"""The folder of a step's resumable state: its address, its lock, and the processes of a job
that share it. Decides who computes, and nothing of what is computed."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.core.spec import to_json
from selfgen.runtime import launching, locks

if TYPE_CHECKING:
    from selfgen.runtime.job import Job

log = logging.getLogger("selfgen")


def folder_of(job: Job, spec: Any) -> Path | None:
    """The folder of one spec, one code and one set of inputs; None without scratch."""
    if job.scratch is None:
        return None
    address = os.environ.get(launching.STATE)
    if not address:
        parts = [to_json(spec), job.code, *job.hashes.values()]
        address = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return job.scratch / address


def begins(job: Job, folder: Path | None, device: str) -> bool:
    """Lock the folder, become the launcher where the job has several processes, and claim the
    device. False where another job has done the work meanwhile."""
    if "LOCAL_RANK" not in os.environ:
        if job.gpus > 1 or job.nodes > 1 or job.launch:
            _launch(job, folder, device)
        if _is_done(job, folder):
            return False
    job.claim(device)
    return True


def is_first() -> bool:
    """Whether this process writes: of several, one."""
    return os.environ.get("RANK", "0") == "0"


def forget(folder: Path) -> None:
    """Remove the state, which nobody needs any more."""
    shutil.rmtree(folder, ignore_errors=True)
    locks.drop(folder)


def _is_done(job: Job, folder: Path | None) -> bool:
    """Lock the folder. Another job that had it, of a run that was killed, may have done the
    work meanwhile."""
    done = (
        folder is not None and locks.hold(folder) and job.output("manifest").is_file()
    )
    if done:
        log.info("done by another job")
    return done


def _launch(job: Job, folder: Path | None, device: str) -> None:
    """Become the launcher, which starts this step in every process, or what starts one on
    every machine; folder and devices are locked before."""
    processes = max(job.nodes, job.gpus)
    config = job.root / job.launch if job.launch else None
    command = launching.command(
        sys.argv[1:], os.environ, processes=processes, nodes=job.nodes, config=config
    )
    if command[0] == sys.executable:
        # Of several machines, the first one's launcher has the folder.
        if os.environ.get("SLURM_PROCID", "0") == "0" and _is_done(job, folder):
            sys.exit()
        os.environ[launching.STATE] = folder.name if folder else ""
    if device in ("auto", "cuda"):
        locks.take(processes)
    here = processes // job.nodes
    os.environ["OMP_NUM_THREADS"] = str(max(1, job.threads // here))
    os.execvp(command[0], command)  # noqa: S606

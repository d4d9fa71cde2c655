"""Jobs of Slurm that a run of Snakemake left behind when it was killed."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

from selfgen.specs import UserError

_RUN = re.compile(r"SLURM run ID: ([\w-]+)")
_JOB = re.compile(r"(?:SLURM jobid|external jobid) '?(\d+)")


def cancel(folder: Path, seconds: float = 120.0) -> list[str]:
    """Cancel the live jobs of the latest run in ``folder``, and wait until they are gone.

    Snakemake's log names them: the run, which is the name of its jobs, and each of them.
    Returns their numbers; none where the run had nothing to do with Slurm.

    Raises UserError: they are still there after so many ``seconds``.
    """
    logs = sorted((folder / ".snakemake" / "log").glob("*.snakemake.log"))
    text = logs[-1].read_text(encoding="utf-8", errors="replace") if logs else ""
    found = set(_JOB.findall(text))
    for run in _RUN.findall(text):
        found |= set(_squeue(f"--name={run}"))
    jobs = sorted(found & set(_squeue()), key=int) if found else []
    if not jobs:
        return []
    subprocess.run(["scancel", *jobs], check=True)
    end = time.monotonic() + seconds
    while left := sorted(set(jobs) & set(_squeue()), key=int):
        if time.monotonic() > end:
            raise UserError(f"cancel: still there: {', '.join(left)}")
        time.sleep(0.5)
    return jobs


def _squeue(*which: str) -> list[str]:
    """Numbers of jobs that run or wait, of this user."""
    command = ["squeue", "--noheader", "--me", "--format=%i", *which]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise UserError(f"cancel: squeue: {error}") from None
    return done.stdout.split()

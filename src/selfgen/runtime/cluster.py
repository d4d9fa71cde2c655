"""Jobs of Slurm that a run of Snakemake left behind when it was killed."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

from selfgen.core.errors import UserError

_RUN = re.compile(r"SLURM run ID: ([\w-]+)")
_JOB = re.compile(r"(?:SLURM jobid|external jobid) '?(\d+)")


def cancel(folder: Path, seconds: float = 120.0) -> list[str]:
    """Cancel the live jobs of runs in ``folder``, and wait until they are gone.

    Snakemake's logs name them: the run, which is the name of its jobs, and each of them.
    All logs are read, since the latest may be of a run that only found the folder locked.
    Returns their numbers; none where the run had nothing to do with Slurm.

    Raises UserError: they are still there after so many ``seconds``.
    """
    logs = (folder / ".snakemake" / "log").glob("*.snakemake.log")
    text = "".join(p.read_text(encoding="utf-8", errors="replace") for p in logs)
    found = set(_JOB.findall(text))
    if runs := _RUN.findall(text):
        found |= _squeue(f"--name={','.join(runs)}")
    jobs = sorted(found & _squeue(), key=int) if found else []
    if not jobs:
        return []
    subprocess.run(["scancel", *jobs], check=True)  # noqa: S607 (by PATH, as Slurm's are)
    end = time.monotonic() + seconds
    while left := sorted(_squeue().intersection(jobs), key=int):
        if time.monotonic() > end:
            raise UserError(f"cancel: still there: {', '.join(left)}")
        time.sleep(0.5)
    return jobs


def _squeue(*which: str) -> set[str]:
    """Numbers of jobs that run or wait, of this user; an array is one."""
    command = ["squeue", "--noheader", "--me", "--format=%F", *which]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise UserError(f"cancel: squeue: {error}") from None
    return set(done.stdout.split())

"""Jobs of Slurm that a run of Snakemake left behind when it was killed."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path

from selfgen.core.errors import UserError

_RUN = re.compile(r"SLURM run ID: ([\w-]+)")
_JOB = re.compile(r"(?:SLURM jobid|external jobid) '?(\d+)")


def cancel(folder: Path, seconds: float = 120.0) -> list[str]:
    """Cancel the live jobs of runs in ``folder``, and wait until they are gone.

    Snakemake's logs name the run, which is also the name of its jobs, and each job. All logs
    are read: the latest may belong to a run that found the folder locked. Returns the numbers
    of the jobs; none where the run did not use Slurm.

    Raises UserError: jobs are left after ``seconds``.
    """
    logs = (folder / ".snakemake" / "log").glob("*.snakemake.log")
    text = "".join(p.read_text(encoding="utf-8", errors="replace") for p in logs)
    named = set(_JOB.findall(text))
    if runs := _RUN.findall(text):
        named |= _squeue(f"--name={','.join(runs)}")
    jobs = sorted(named & _squeue(), key=int) if named else []
    if not jobs:
        return []
    subprocess.run(["scancel", *jobs], check=True)  # noqa: S607 (by PATH, as Slurm's are)
    end = time.monotonic() + seconds
    while left := sorted(_squeue().intersection(jobs), key=int):
        if time.monotonic() > end:
            raise UserError(f"cancel: still there: {', '.join(left)}")
        time.sleep(0.5)
    return jobs


def check() -> None:
    """Raises UserError: jobs cannot be submitted, since no Slurm answers here."""
    if not shutil.which("sbatch"):
        raise UserError(
            "slurm: found no sbatch on PATH; run on a login node of a Slurm"
        )
    _squeue()


def _squeue(*which: str) -> set[str]:
    """Numbers of jobs that run or wait, of this user; an array is one."""
    command = ["squeue", "--noheader", "--me", "--format=%F", *which]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise UserError(f"slurm: squeue: {error}") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise UserError(f"slurm: does not answer: {said[-1]}")
    return set(done.stdout.split())

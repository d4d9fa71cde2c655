"""What a call of Snakemake needs before its first job, and what is wrong with it."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from selfgen.core.errors import UserError
from selfgen.runtime import cluster, forks, process, runs

FED_BY_THEMSELVES = {
    "generate_pass": "trained",
    "mix_rows": "trained",
    "finetune": "trained",
    "finetune_temporary": "trained",
    "generate_answers": "answered",
}
"""Rules whose jobs wait for other jobs of theirs, and the rule to ask for instead of
``--until``, after which Snakemake starts no job that waits for one of the rule."""

FEW = 3
"""Jobs, targets without a command among them, that import libraries for themselves: for
more than these a process that forks pays."""

RATE = (100, 1)
"""Snakemake's default of ``--max-jobs-per-timespan``: jobs, and seconds."""

TEMPORARY = 2**20
"""Bytes of temporary files that must fit: Snakemake's scheduler writes some."""


def literal(path: object) -> str:
    """A path whose braces Snakemake does not take for a variable."""
    return str(path).replace("{", "{{").replace("}", "}}")


def set_up() -> None:
    """Of the process that plans: it makes millions of objects, which stay."""
    process.search_less_for_cycles()


def check(arguments: Sequence[str], snakefile: Path) -> None:
    """Raises UserError: a profile is missing, or ``--until`` names a rule that it cannot
    stop after."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--workflow-profile", default="none")
    parser.add_argument("--until", "-U", nargs="+", default=[])
    given, _ = parser.parse_known_args(arguments)
    _check_profile(given.workflow_profile, snakefile)
    for rule in given.until:
        if rule in FED_BY_THEMSELVES:
            raise UserError(
                f"--until {rule}: its jobs wait for each other, of which Snakemake runs"
                f" only the first; ask for `{FED_BY_THEMSELVES[rule]}` or for files"
                " (docs/rerun.md)"
            )


def begin(arguments: Sequence[str], queued: bool) -> None:
    """Record a run in its folder, and look for what a killed one left there. ``queued``:
    whether its jobs are jobs of a scheduler.

    Raises UserError: temporary files cannot be written.
    """
    folder = os.environ.get("TMPDIR") or tempfile.gettempdir()
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(TEMPORARY))
            file.flush()
    except OSError as error:
        raise UserError(
            f"{folder}: {error.strerror}; name a folder for temporary files by TMPDIR"
        ) from None
    cure = ["selfgen", "resume", "--directory", str(Path.cwd()), "--", *arguments]
    if said := runs.begin(queued, shlex.join(cure)):
        print(said, file=sys.stderr)


def check_executor(name: str) -> None:
    """Raises UserError: jobs are to go to a Slurm that does not answer. Snakemake removes
    the old output of a job before it submits it."""
    if name == "slurm":
        cluster.check()


def start_forks(executor: str, jobs: int) -> None:
    """Let the steps of a run on this machine share one import of the libraries."""
    if executor == "local" and jobs > FEW:
        # With the name of the run in it, by which ``runs`` finds what a killed one left.
        log = Path(".snakemake", "selfgen", "forks.log")
        log.parent.mkdir(parents=True, exist_ok=True)
        forks.start(process.DEFAULTS | os.environ, log)


def lift_rate_limit(scheduler: Any) -> None:
    """Drop Snakemake's own limit of jobs that start in a time (``RATE``); a user's stays.

    Under a limit each job that ends leaves a timer behind, which makes the scheduler weigh
    all jobs again once a second while some wait (Snakemake 9.27,
    ``JobScheduler._schedule_reevalutation``): the more jobs have ended, the less is left of
    the processor for the others.
    """
    limiter = scheduler.job_rate_limiter
    if limiter and (limiter.max_jobs, limiter.timespan) == RATE:
        scheduler.job_rate_limiter = None


def check_software(methods: Collection[Any]) -> None:
    """Raises UserError: conda is to make the environment of each rule, where jobs run under
    the interpreter of snakemake. It would make one and not use it."""
    if "conda" in map(str, methods):
        raise UserError(
            "--software-deployment-method: found conda, allowed: none, since jobs run under"
            " the interpreter of snakemake (docs/footguns.md)"
        )


def _check_profile(given: str, snakefile: Path) -> None:
    """Snakemake looks for a profile in the folder that it was called in, in ``profiles``
    there and beside the Snakefile; where it finds none, it goes on without any."""
    if given == "none":
        return
    # By now the folder may be that of --directory.
    called = {Path.cwd(), Path(os.environ.get("PWD", "")), snakefile.parent}
    folders = [*called, *(folder / "profiles" for folder in called)]
    if any((folder / given).exists() for folder in folders):
        return
    found = snakefile.parent.glob("profiles/*/profile*.yaml")
    there = ", ".join(sorted(f"profiles/{path.parent.name}" for path in found))
    raise UserError(f"--workflow-profile: found no {given}; there are {there}")

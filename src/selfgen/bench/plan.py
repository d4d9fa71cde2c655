"""What Snakemake takes before the first job: the plan of a run, from the command to its end,
beside the start of Snakemake alone."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch

from selfgen.bench.harness import Timing, compare, table
from selfgen.core.errors import UserError

START = "none: snakemake --version"


def run(commands: Mapping[str, Sequence[str]], repeats: int) -> list[Timing]:
    """``commands``: by the name of a configuration, the call of Snakemake that would run it.
    Each is planned, and none is run.

    Raises UserError: Snakemake refuses one, with what it says last.
    """
    version = [sys.executable, "-m", "snakemake", "--version"]
    contenders = [
        (START, partial(_started, version)),
        *((name, partial(_planned, command)) for name, command in commands.items()),
    ]
    return compare(contenders, {}, 0, repeats, torch.device("cpu"))


def _started(command: Sequence[str]) -> dict[str, Any]:
    _call(command)
    return {"memory_mb": None}


def _planned(command: Sequence[str]) -> dict[str, Any]:
    said = _call([*command, "--dry-run"])
    jobs = re.search(r"^(\d+) jobs? would run:$", said, re.MULTILINE)
    return {"memory_mb": None, "jobs": int(jobs[1]) if jobs else 0}


def _call(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).rpartition("\n")[2]
        raise UserError(f"bench plan: Snakemake ended with {done.returncode}: {said}")
    return done.stdout


def page(timings: Sequence[Timing]) -> str:
    """Seconds of each: the median, the least and the most, and how many jobs were planned."""
    lines = [(t.name, t.notes.get("jobs", ""), *t.spread) for t in timings]
    return table(("configuration", "jobs", "s, median", "least", "most"), lines)

"""What the shortest steps take: as a process that imports the libraries, and as a fork of one
that has, which a step is in a run on one machine; and which imports the fork is spared."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from selfgen.bench.harness import Timing, compare, table
from selfgen.core.errors import UserError
from selfgen.core.rows import write_rows
from selfgen.core.spec import Device, Sampling, to_json
from selfgen.data.prompts import PromptSpec
from selfgen.evaluation.scores import ScoresSpec
from selfgen.generation.spec import AnswersSpec
from selfgen.runtime import forks, process

ALONE, FORK = "imports for itself", "a fork"
ANSWERS, SCORES = "one answer of one token", "its score (ROUGE)"
"""The shortest step that runs a model, and one that runs none."""

SHOWN = 0.1
"""Seconds of imports; packages with less are one line."""


@dataclass(frozen=True)
class Case:
    """The model in ``weights``, and a record to answer by ``prompt``."""

    weights: Path
    record: dict[str, Any]
    prompt: PromptSpec
    where: Device


def run(case: Case, repeats: int) -> list[Timing]:
    """Each step, started in both ways in turns, from its command to its end.

    Raises UserError: no process forks on this machine, or a step fails.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        forks.serving(process.DEFAULTS | os.environ) as server,
    ):
        if not server:
            raise UserError(
                "bench start: found no process that forks, allowed: on Linux"
            )
        timings = []
        for name, command in _commands(case, Path(folder)).items():
            _call(command, server)  # it is ready when this has ended
            contenders = [
                (how, partial(_run, command, path))
                for how, path in ((ALONE, ""), (FORK, server))
            ]
            cpu = torch.device("cpu")
            timings += compare(contenders, {"step": name}, 0, repeats, cpu)
            timings[-2].notes["imports"] = _imports(_call(_profiled(command), ""))
        _check(server)
        return timings


def _check(server: str) -> None:
    """Raises UserError: nobody forks, so steps imported the libraries for themselves."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(server)
        except OSError as error:
            raise UserError(
                f"bench start: the process that forks has ended: {error.strerror}"
            ) from None


def _commands(case: Case, folder: Path) -> dict[str, list[str]]:
    """As the workflow calls the steps, by what they do."""
    split = case.record["split"]
    records, answers = folder / "records.parquet", folder / "answers.parquet"
    write_rows(records, [case.record])
    asked = AnswersSpec("direct", (split,), case.prompt, Sampling(), 0, case.where)
    scored = ScoresSpec(("rouge",), (split,))

    def command(rule: str, spec: Any, *files: str) -> list[str]:
        threads = f"--threads={torch.get_num_threads()}"
        call = [sys.executable, "-m", "selfgen", "step", rule, threads]
        return [*call, f"--spec={to_json(spec)}", f"--input=records={records}", *files]

    weights, made = f"--input=weights={case.weights}", f"--output=answers={answers}"
    scores = f"--output=scores={folder / 'scores.parquet'}"
    return {
        ANSWERS: command("generate_answers", asked, weights, made),
        SCORES: command("score_answers", scored, f"--input=answers={answers}", scores),
    }


def _profiled(command: Sequence[str]) -> list[str]:
    """The same in a Python that says how long each import takes."""
    return [command[0], "-X", "importtime", *command[1:]]


def _imports(said: str) -> dict[str, float]:
    """Seconds by package, the most first, of what ``-X importtime`` said: lines of
    ``import time: SELF | CUMULATIVE | MODULE``, in microseconds."""
    seconds: defaultdict[str, float] = defaultdict(float)
    lines = r"^import time: +(\d+) \|.*\| +(\w+)"
    for own, package in re.findall(lines, said, re.MULTILINE):
        seconds[package] += int(own) / 1e6
    return dict(sorted(seconds.items(), key=lambda entry: -entry[1]))


def _run(command: Sequence[str], server: str) -> dict[str, Any]:
    _call(command, server)
    return {"memory_mb": None}


def _call(command: Sequence[str], server: str) -> str:
    """What it printed to standard error."""
    done = subprocess.run(
        command,
        env=os.environ | {forks.VARIABLE: server},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().rpartition("\n")[2].removeprefix("error: ")
        raise UserError(f"bench start: a step ended with {done.returncode}: {said}")
    return done.stderr


def page(timings: Sequence[Timing]) -> str:
    """Seconds of each step and way: the median, the least and the most; and those of the
    imports."""
    lines = [(t.case["step"], t.name, *t.spread) for t in timings]
    steps = table(("step", "started as", "s, median", "least", "most"), lines)
    profiles = {
        timing.case["step"]: timing.notes["imports"]
        for timing in timings
        if "imports" in timing.notes
    }
    if not profiles:
        return steps
    return (
        f"{steps}\n\nSeconds of imports by package, of one run of the process that imports"
        " for itself, with a\nprofiler (`python -X importtime`). A fork has them all"
        f" already.\n\n{_profile(profiles)}"
    )


def _profile(profiles: dict[str, dict[str, float]]) -> str:
    """A line for each package with ``SHOWN`` seconds in a step, one for all others, and one
    for all."""
    most: dict[str, float] = {}
    for found in profiles.values():
        for package, seconds in found.items():
            most[package] = max(seconds, most.get(package, 0))
    named = [p for p in sorted(most, key=lambda p: -most[p]) if most[p] >= SHOWN]
    lines = [
        (package, *(f"{found.get(package, 0):.2f}" for found in profiles.values()))
        for package in named
    ]
    for what, left in (("all others", named), ("all", [])):
        sums = (
            sum(seconds for package, seconds in found.items() if package not in left)
            for found in profiles.values()
        )
        lines.append((what, *(f"{total:.2f}" for total in sums)))
    return table(("package", *profiles), lines)

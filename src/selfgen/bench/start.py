"""What the shortest steps take: as a process that imports the libraries, and as a fork of one
that has, which a step is in a run on one machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
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
                (how, partial(_call, command, path))
                for how, path in ((ALONE, ""), (FORK, server))
            ]
            cpu = torch.device("cpu")
            timings += compare(contenders, {"step": name}, 0, repeats, cpu)
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


def _call(command: Sequence[str], server: str) -> dict[str, Any]:
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
    return {"memory_mb": None}


def page(timings: Sequence[Timing]) -> str:
    """Seconds of each step and way: the median, the least and the most."""
    lines = [
        (timing.case["step"], timing.name, *(f"{found:.2f}" for found in spread))
        for timing in timings
        for spread in [(timing.median, min(timing.seconds), max(timing.seconds))]
    ]
    return table(("step", "started as", "s, median", "least", "most"), lines)

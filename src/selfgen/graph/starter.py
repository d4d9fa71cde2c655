"""A first configuration for a user's own rows and model: sizes that fit a time, and why."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from selfgen import config
from selfgen.core.errors import UserError
from selfgen.data.columns import Columns
from selfgen.data.look import Lengths, Look
from selfgen.data.prompts import PromptSpec
from selfgen.graph import cost
from selfgen.graph.steps import Graph

CHANGED = 0.15
"""The share of context tokens that BASH should change: docs/method.md says of doses from 10
to 20 % that they can show something."""

BETAS = (0.1, 0.75)
"""The smallest and the largest mixing rate that is proposed."""

EPOCHS, BATCH = 2, 8
"""Of the first stage; rows of a step."""

VALIDATION, LEAST_ROWS, LEAST_TEST, MOST_TEST = 32, 2 * BATCH, 16, 512
"""Rows."""

SMALL_MODEL = 1e9
"""Larger models are trained at a fifth of the rate."""

TABLES = 12
"""Jobs that run no model."""


@dataclass(frozen=True)
class Speed:
    """Tokens a second that are trained and written, and seconds of a job before that."""

    trained: float
    written: float
    startup: float


@dataclass(frozen=True)
class Start:
    """What a configuration is made of. ``files``: of each split, or of ``all``, as paths from
    the folder of the configuration; ``model``: its section; ``lora``: adapters' keys."""

    name: str
    files: Mapping[str, Sequence[str]]
    columns: Columns
    model: Mapping[str, Any]
    look: Look
    lengths: Lengths
    changed: float
    beta_measured: float
    parameters: int
    lora: Mapping[str, Any] | None = None
    source: str = "your own rows"
    licence: str = "not said"

    @property
    def beta(self) -> float:
        """The rate at which BASH changes about ``CHANGED`` of the tokens."""
        wanted = self.beta_measured * CHANGED / max(self.changed, 1e-3)
        return round(min(max(wanted, BETAS[0]), BETAS[1]), 2)

    @property
    def rate(self) -> float:
        if self.lora:
            return 2e-4
        return 1e-4 if self.parameters < SMALL_MODEL else 2e-5


def sized(start: Start, speed: Speed, minutes: float) -> tuple[dict[str, Any], float]:
    """The configuration of the most rows that are there and that a run of so many minutes
    takes, and the minutes that it is expected to take.

    Raises UserError: fewer rows than the smallest run needs.
    """
    have = start.look.splits
    validation = min(VALIDATION, have["validation"])
    # A second stage trains on as many rows again as the first.
    most = have["train"] // 2 // BATCH * BATCH
    test = min(have["test"], MOST_TEST)
    if most < LEAST_ROWS or test < LEAST_TEST:
        raise UserError(
            f"data: found {have['train']} rows to train on and {have['test']} to test on,"
            f" allowed: at least {2 * LEAST_ROWS} and {LEAST_TEST}"
        )
    rows = most
    while True:
        raw = _raw(start, rows, min(test, max(LEAST_TEST, rows)), validation)
        taken = _minutes(raw, start, speed)
        if taken <= minutes or rows <= LEAST_ROWS:
            return raw, taken
        rows = max(LEAST_ROWS, min(rows - BATCH, int(rows * 0.9) // BATCH * BATCH))


def _raw(start: Start, rows: int, test: int, validation: int) -> dict[str, Any]:
    prompts, answers = start.lengths.at(0.98)
    columns = {k: v for k, v in vars(start.columns).items() if v}
    rate: dict[str, Any] = {"lora": dict(start.lora)} if start.lora else {}
    files: Any = {
        k: next(iter(v)) if len(v) == 1 else list(v) for k, v in start.files.items()
    }
    second = {"parent": "sft", "stage": "second"}
    return {
        "scale": start.name,
        "models": {"base": dict(start.model)},
        "tasks": {
            start.name: {
                "dataset": "file",
                "files": files.get("all", files),
                **columns,
                "source": start.source,
                "licence": start.licence,
                "bad_rows": "skip" if start.look.faults.counts else "refuse",
                "train_rows": rows,
                "validation_rows": validation,
                "test_rows": test,
                "max_prompt_tokens": _rounded(prompts),
                "max_new_tokens": _rounded(answers),
            }
        },
        "stages": {
            "sft": {
                "epochs": EPOCHS,
                "batch_size": BATCH,
                "learning_rate": start.rate,
                **rate,
            },
            "second": {
                "rows": rows,
                "batch_size": BATCH,
                "learning_rate": start.rate * 0.3,
                **rate,
            },
        },
        "methods": {
            "base": {"label": "Base", "mix": "none"},
            "sft": {"label": "SFT", "mix": "plain", "parent": "base", "stage": "sft"},
            "sft-continued": {"label": "SFT continued", "mix": "plain", **second},
            "bash": {"label": "BASH", "mix": "bash", "beta": start.beta, **second},
            "random": {
                "label": "Random tokens",
                "mix": "random",
                "control_for": "bash",
                **second,
            },
            "rac": {
                "label": "RAC",
                "mix": "rac",
                **second,
                "decodings": ["direct", "corrected"],
            },
        },
    }


def _rounded(tokens: int) -> int:
    """To a multiple of 8 above."""
    return -(-tokens // 8) * 8


def _minutes(raw: dict[str, Any], start: Start, speed: Speed) -> float:
    # Sizes alone count here: files of the user's are looked for below another folder.
    task = dict(raw["tasks"][start.name])
    for key in ("files", "prompt", "reference", "messages", "id", "source", "licence"):
        task.pop(key, None)
    task.pop("bad_rows")
    sizes_only = raw | {"tasks": {start.name: task | {"dataset": "qa"}}}
    sizes_only["models"] = {"base": {"kind": "random", "model_type": "llama"}}
    graph = Graph(config.load(sizes_only))
    prompt, answer = start.lengths.mean()

    def lengths(graph: Graph, task: str, spec: PromptSpec) -> tuple[int, int]:
        return (
            min(round(prompt), spec.max_prompt_tokens),
            min(round(answer), spec.max_answer_tokens),
        )

    works = cost.works(graph, lengths)
    seconds = sum(
        w.jobs * speed.startup
        + (w.trained + w.referred / 3) / speed.trained
        + w.written / speed.written
        for w in works
    )
    return (seconds + TABLES * speed.startup / 2) / 60


def text(start: Start, raw: dict[str, Any], minutes: float, command: str) -> str:
    """The configuration as YAML, with what was found and why sizes are what they are."""
    look = start.look
    prompts, answers = start.lengths.at(0.5), start.lengths.at(0.95)
    left_out = sum(look.faults.counts.values())
    head = [
        "Written by `selfgen new`; every key: docs/configuration.md. Change what you like:",
        f"  selfgen check {command}",
        f"  selfgen run {command}   # about {minutes:.0f} minutes here",
        "",
        f"Found: {look.rows:,} rows ({_counts(look.splits)}); no records: {left_out}",
        *([f"  ({look.faults.told()})"] if left_out else []),
        f"Prompts have {prompts[0]} tokens, 95 % of them at most {answers[0]};"
        f" answers {prompts[1]}, and {answers[1]}.",
        f"{look.several} prompts stand with several references; {look.inside} references"
        " stand in their own prompt.",
    ]
    why = {
        "train_rows:": "As many again are trained on in the second stage.",
        "max_prompt_tokens:": "98 % of the prompts are no longer; others lose words.",
        "max_new_tokens:": "98 % of the answers are no longer; others are cut.",
        "beta:": f"At {start.beta_measured} {start.changed:.0%} of the answers' tokens would"
        " be others, by the base model; less after SFT. 10 to 20 % can show something.",
        "bad_rows: skip": "What is left out is counted in results/records.",
        "source:": "Say where from, and under which licence: it is recorded with each row.",
    }
    lines = [f"# {line}".rstrip() for line in head]
    for line in yaml.safe_dump(raw, sort_keys=False, width=100).splitlines():
        said = next((why[key] for key in why if line.strip().startswith(key)), "")
        if said:
            indent = line[: len(line) - len(line.lstrip())]
            lines.append(f"{indent}# {said}")
        lines.append(line)
    return "\n".join(lines) + "\n"


def _counts(splits: Mapping[str, int]) -> str:
    return ", ".join(f"{n:,} {split}" for split, n in splits.items())


def relative(path: Path, folder: Path) -> str:
    """A path as a configuration in ``folder`` names it."""
    return os.path.relpath(path.absolute(), folder.absolute())

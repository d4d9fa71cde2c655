"""Answers to the prompts of benchmarks: AlpacaEval's instructions, MT-Bench's two turns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.core.rows import write_rows
from selfgen.core.spec import Sampling
from selfgen.data.prompts import (
    answer_text,
    correction_ids,
    load_tokenizer,
    prompt_ids,
)
from selfgen.generation import free
from selfgen.generation.answers import Progress, load
from selfgen.judge.mt_bench import load_questions
from selfgen.judge.spec import InstructionsSpec, TwoTurnsSpec

if TYPE_CHECKING:
    from selfgen.runtime.job import Job

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Dialogue:
    """Two user messages and the temperature of the answers to them."""

    id: str
    turns: tuple[str, str]
    temperature: float


def answer_instructions(
    instructions: Sequence[str],
    weights: Path,
    spec: InstructionsSpec,
    progress: Progress = None,
) -> tuple[Rows, dict[str, Any]]:
    """Rows ``{instruction, output, tokens, ended}`` in the order given, and facts."""
    tokenizer = load_tokenizer(weights)
    model, facts = load(weights, spec.device)
    prompts = [
        free.Prompt(str(i), 0, prompt_ids(tokenizer, spec.prompt, text))
        for i, text in enumerate(instructions)
    ]
    made = free.run(
        model,
        tokenizer,
        prompts,
        spec.sampling,
        seed=spec.seed,
        max_new_tokens=spec.prompt.max_answer_tokens,
        batch_size=spec.batch_size,
        facts=facts,
        progress=progress,
    )
    by_id = {row["id"]: row for row in made}
    rows = [
        {
            "instruction": text,
            "output": by_id[str(i)]["text"],
            "tokens": by_id[str(i)]["tokens"],
            "ended": by_id[str(i)]["ended"],
        }
        for i, text in enumerate(instructions)
    ]
    return rows, facts | {"generated_tokens": sum(row["tokens"] for row in rows)}


def answer_dialogues(
    dialogues: Sequence[Dialogue],
    weights: Path,
    spec: TwoTurnsSpec,
    progress: Progress = None,
) -> tuple[Rows, dict[str, Any]]:
    """Rows ``{id, first, second}`` in the order given, and facts: the answers to both
    turns, the second asked after the first was answered."""
    tokenizer = load_tokenizer(weights)
    model, facts = load(weights, spec.device)

    def answers(turn: int, prompts: Mapping[str, list[int]]) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for temperature in sorted({d.temperature for d in dialogues}):
            asked = [
                free.Prompt(d.id, turn, prompts[d.id])
                for d in dialogues
                if d.temperature == temperature
            ]
            made = free.complete(
                model,
                tokenizer,
                asked,
                Sampling(temperature),
                seed=spec.seed,
                max_new_tokens=spec.prompt.max_answer_tokens,
                batch_size=spec.batch_size,
            )
            for prompt, ids in made:
                found[prompt.id] = ids
                if progress:
                    done = turn * len(dialogues) + len(found)
                    progress(done, 2 * len(dialogues))
        return found

    first = answers(
        0, {d.id: prompt_ids(tokenizer, spec.prompt, d.turns[0]) for d in dialogues}
    )
    texts = {name: answer_text(tokenizer, ids) for name, ids in first.items()}
    # A second turn is what a correction turn is: a user message after an answer.
    second = answers(
        1,
        {
            d.id: correction_ids(
                tokenizer,
                replace(spec.prompt, correction=d.turns[1]),
                d.turns[0],
                texts[d.id],
            )
            for d in dialogues
        },
    )
    rows = [
        {
            "id": d.id,
            "first": texts[d.id],
            "second": answer_text(tokenizer, second[d.id]),
        }
        for d in dialogues
    ]
    tokens = sum(len(ids) for made in (first, second) for ids in made.values())
    return rows, facts | {"generated_tokens": tokens}


def step(spec: InstructionsSpec | TwoTurnsSpec, job: Job) -> dict[str, Any]:
    """Answers of a checkpoint to the prompts of a benchmark."""
    job.claim(spec.device.device)
    weights, progress = job.input("weights"), job.progress("prompts")
    if isinstance(spec, InstructionsSpec):
        baseline = json.loads(job.input("baseline").read_text(encoding="utf-8"))
        instructions = [row["instruction"] for row in baseline]
        rows, facts = answer_instructions(instructions, weights, spec, progress)
    else:
        questions = load_questions(job.input("questions"), job.input("references"))
        dialogues = [Dialogue(str(q.id), q.turns, q.temperature) for q in questions]
        rows, facts = answer_dialogues(dialogues, weights, spec, progress)
    write_rows(job.output("answers"), rows)
    return facts

"""Answers of a model to the prompts of a benchmark that a judge grades."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.benchmarks import JUDGED
from selfgen.benchmarks.base import Conversation
from selfgen.core.rows import write_rows
from selfgen.core.spec import Sampling
from selfgen.data.listing import singles
from selfgen.data.prompts import (
    answer_text,
    correction_ids,
    load_tokenizer,
    prompt_ids,
)
from selfgen.generation import ends, free
from selfgen.generation.answers import Progress, load
from selfgen.generation.decoding import Prompt
from selfgen.judge.spec import ConversationsSpec

if TYPE_CHECKING:
    from selfgen.runtime.job import Job


Rows = list[dict[str, Any]]


def answer(
    conversations: Sequence[Conversation],
    weights: Path,
    spec: ConversationsSpec,
    progress: Progress = None,
    batch_size: int = 64,
) -> tuple[Rows, dict[str, Any]]:
    """Rows ``{id, turn, prompt, answer, tokens, ended}`` and facts: turns are counted from
    1, and a second one is asked after the first was answered. ``tokens`` and ``ended`` as in
    ``free.run``."""
    tokenizer = load_tokenizer(weights)
    model, facts = load(weights, spec.device)
    total = sum(len(c.turns) for c in conversations)
    stops = ends.stops(model, tokenizer)
    rows_of: dict[tuple[str, int], dict[str, Any]] = {}
    counts: Counter[str] = Counter()

    def prompt_of(c: Conversation, turn: int) -> list[int]:
        if turn == 1:
            return prompt_ids(tokenizer, spec.prompt, c.turns[0])
        # A second turn is what a correction turn is: a user message after an answer.
        prompt = replace(spec.prompt, correction=c.turns[1])
        first = rows_of[c.id, 1]["answer"]
        return correction_ids(tokenizer, prompt, c.turns[0], first)

    for turn in (1, 2):
        asked: dict[float, list[Conversation]] = {}
        for c in conversations:
            if turn <= len(c.turns):
                own = c.temperature
                asked.setdefault(spec.temperature if own is None else own, []).append(c)
        for temperature, some in sorted(asked.items()):
            texts = {c.id: c.turns[turn - 1] for c in some}
            engine: dict[str, Any] = {}
            made = free.complete(
                model,
                tokenizer,
                [Prompt(c.id, turn - 1, prompt_of(c, turn)) for c in some],
                Sampling(temperature),
                seed=spec.seed,
                max_new_tokens=spec.prompt.max_answer_tokens,
                batch_size=batch_size,
                facts=engine,
            )
            for prompt, ids in made:
                rows_of[prompt.id, turn] = {
                    "id": prompt.id,
                    "turn": turn,
                    "prompt": texts[prompt.id],
                    "answer": answer_text(tokenizer, ids),
                    "tokens": len(ids),
                    "ended": ids[-1] in stops,
                }
                if progress:
                    progress(len(rows_of), total)
            for name in ("engine", "read", "turn_end"):
                facts[name] = engine.pop(name)
            counts.update(engine)
    rows = [rows_of[c.id, i + 1] for c in conversations for i in range(len(c.turns))]
    counts["generated_tokens"] = sum(row["tokens"] for row in rows)
    return rows, facts | counts


def step(spec: ConversationsSpec, job: Job) -> dict[str, Any]:
    """Answers of a checkpoint to the prompts of a benchmark."""
    job.claim(spec.device.device)
    asked = JUDGED[spec.benchmark].conversations(singles(job.files()))
    rows, facts = answer(
        asked, job.input("weights"), spec, job.progress("answers"), job.batch_size
    )
    write_rows(job.output("answers"), rows)
    return facts

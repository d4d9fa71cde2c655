"""Exposure bias on open text: a model's step errors against a named oracle.

Arora et al. 2022 (arXiv 2204.01171); the measures are ``evaluation.exposure``'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.core.errors import UserError
from selfgen.core.memory import peak_memory_mb
from selfgen.core.rows import write_rows
from selfgen.data.examples import examples_of
from selfgen.data.prompts import load_tokenizer
from selfgen.data.records import read
from selfgen.evaluation.exposure import shared_tokens, step_errors
from selfgen.evaluation.oracle_spec import ExposureSpec
from selfgen.generation import engines, free
from selfgen.generation.decoding import Prompt
from selfgen.models.loading import load_for_generation

if TYPE_CHECKING:
    from selfgen.runtime.job import Job

Rows = list[dict[str, Any]]


def run(
    records: Rows,
    weights: Path,
    oracle: Path,
    spec: ExposureSpec,
    batch_size: int = 64,
) -> tuple[Rows, dict[str, Any]]:
    """Rows ``{id, free, fixed, gold}`` and facts.

    KL(oracle || model) before every token, in nats, of the model's own answer as it ends
    (``free``), of its own answer of exactly ``spec.length`` tokens (``fixed``: no token ends
    it) and of the reference (``gold``). Raises UserError: fewer records than prompts asked,
    models of different vocabularies.
    """
    chosen = [r for r in records if r["split"] == spec.split][: spec.prompts]
    if len(chosen) < spec.prompts:
        raise UserError(
            f"evaluation.oracle.prompts: found {spec.prompts}, allowed: at most"
            f" {len(chosen)}, the records of {spec.split}"
        )
    tokenizer = load_tokenizer(weights)
    tokens = shared_tokens(tokenizer, load_tokenizer(oracle))
    model, device, precision = load_for_generation(
        weights, spec.device, engines.try_out
    )
    other, *_ = load_for_generation(oracle, spec.device)
    examples = examples_of(chosen, spec.prompt, tokenizer)
    complete = partial(
        free.complete,
        model,
        tokenizer,
        sampling=spec.sampling,
        seed=spec.seed,
        batch_size=batch_size,
    )

    def errors(answers: Mapping[str, list[int]]) -> dict[str, list[float]]:
        read = [replace(e, answer_ids=answers[e.id]) for e in examples]
        found = step_errors(model, other, read, tokens=tokens)
        return {e.id: steps for e, steps in zip(examples, found, strict=True)}

    prompts = [Prompt(example.id, 0, example.prompt_ids) for example in examples]
    limit = spec.prompt.max_answer_tokens
    own = {p.id: ids for p, ids in complete(prompts, max_new_tokens=limit)}
    running = {
        p.id: ids
        for p, ids in complete(prompts, max_new_tokens=spec.length, ends_turns=False)
    }
    sides = {
        "free": errors(own),
        "fixed": errors(running),
        "gold": errors({e.id: list(e.answer_ids) for e in examples}),
    }
    rows = [
        {"id": e.id} | {side: found[e.id] for side, found in sides.items()}
        for e in examples
    ]
    return rows, {"device": device, "precision": precision}


def step(spec: ExposureSpec, job: Job) -> dict[str, Any]:
    """Step errors of a model against the oracle."""
    job.claim(spec.device.device)
    records = read(job.input("records"), [spec.split])
    rows, facts = run(
        records, job.input("weights"), job.input("oracle"), spec, job.batch_size
    )
    write_rows(job.output("errors"), rows)
    return facts | {"peak_memory_mb": peak_memory_mb()}

"""Exposure bias on open text: a model's step errors against a named oracle.

Arora et al. 2022 (arXiv 2204.01171); the measures are ``evaluation.exposure``'s.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.core.errors import UserError
from selfgen.core.rows import write_rows
from selfgen.data.examples import examples_of
from selfgen.data.prompts import load_tokenizer
from selfgen.data.records import read
from selfgen.evaluation.exposure import step_errors
from selfgen.evaluation.oracle_spec import ExposureSpec
from selfgen.generation import engines, free
from selfgen.generation.decoding import Prompt
from selfgen.models.loading import load_for_generation
from selfgen.runtime.process import peak_memory_mb

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
    """Rows ``{id, free, gold}`` and facts.

    ``free`` and ``gold``: KL(oracle || model) before every token, in nats, of the model's
    own answer and of the reference. Raises UserError: fewer records than prompts asked,
    models of different vocabularies.
    """
    chosen = [r for r in records if r["split"] == spec.split][: spec.prompts]
    if len(chosen) < spec.prompts:
        raise UserError(
            f"evaluation.oracle.prompts: found {spec.prompts}, allowed: at most"
            f" {len(chosen)}, the records of {spec.split}"
        )
    tokenizer = load_tokenizer(weights)
    model, device, precision = load_for_generation(
        weights, spec.device, engines.try_out
    )
    other, *_ = load_for_generation(oracle, spec.device)
    examples = examples_of(chosen, spec.prompt, tokenizer)
    answers = free.complete(
        model,
        tokenizer,
        [Prompt(example.id, 0, example.prompt_ids) for example in examples],
        spec.sampling,
        seed=spec.seed,
        max_new_tokens=spec.prompt.max_answer_tokens,
        batch_size=batch_size,
    )
    own = {prompt.id: ids for prompt, ids in answers}
    errors = [
        step_errors(model, other, side)
        for side in ([replace(e, answer_ids=own[e.id]) for e in examples], examples)
    ]
    rows = [
        {"id": example.id, "free": a, "gold": b}
        for example, a, b in zip(examples, *errors, strict=True)
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

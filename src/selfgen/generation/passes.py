"""The generation steps of the workflow: from records and weights to rows and facts."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selfgen.data.prompts import (
    answer_ids,
    correction_ids,
    load_tokenizer,
    prompt_ids,
)
from selfgen.generation import attention, forced, free
from selfgen.models import load_for_generation, peak_memory_mb
from selfgen.specs import AnswersSpec, Device, PassSpec, UserError

Rows = list[dict[str, Any]]
Progress = Callable[[int, int], None] | None


def run_pass(
    records: Rows,
    weights: Path,
    spec: PassSpec,
    *,
    shard: int = 0,
    progress: Progress = None,
) -> tuple[Rows, dict[str, Any]]:
    """A pass over training records: ``(rows, facts of the run)``.

    ``records`` are the training records in file order; ``spec.rows`` is the slice of them.
    """
    records = records[spec.rows[0] : spec.rows[1]]
    tokenizer = load_tokenizer(weights)
    prompts = [prompt_ids(tokenizer, spec.prompt, r["prompt"]) for r in records]
    epochs = range(spec.epochs)
    model, facts = _load(weights, spec.device)
    started = time.perf_counter()
    if spec.kind == "free":
        rows = list(
            free.run(
                model,
                tokenizer,
                [
                    free.Prompt(record["id"], epoch, ids)
                    for record, ids in zip(records, prompts, strict=True)
                    for epoch in epochs
                ],
                spec.sampling,
                seed=spec.seed,
                max_new_tokens=spec.prompt.max_answer_tokens,
                batch_size=spec.batch_size,
                shard=shard,
                shards=spec.shards,
                progress=progress,
            )
        )
        tokens = sum(row["tokens"] for row in rows)
    else:
        references = [
            forced.Reference(
                record["id"],
                epoch,
                ids,
                answer_ids(tokenizer, spec.prompt, record["reference"]),
            )
            for record, ids in zip(records, prompts, strict=True)
            for epoch in epochs
        ]
        rows = list(
            forced.run(
                model,
                references,
                spec,
                tokenizer.all_special_ids,
                tokenizer.eos_token_id,
                shard=shard,
                progress=progress,
            )
        )
        tokens = sum(len(row["tokens"]) for row in rows)
        facts["drawn_tokens"] = sum(sum(row["drawn"]) for row in rows)
        answers = {(r.id, r.epoch): r.answer_ids for r in references}
        facts["changed_tokens"] = sum(
            a != b
            for row in rows
            for a, b in zip(
                row["tokens"], answers[row["id"], row["epoch"]], strict=True
            )
        )
    return rows, _finish(facts, tokens, started)


def run_answers(
    records: Rows,
    drafts: Rows,
    weights: Path,
    spec: AnswersSpec,
    *,
    shard: int = 0,
    progress: Progress = None,
) -> tuple[Rows, dict[str, Any]]:
    """Answers ``{id, text, tokens, ended}`` to held-out records, and facts of the run.

    With ``spec.decoding`` ``corrected``, ``drafts`` are the direct answers.
    """
    tokenizer = load_tokenizer(weights)
    if spec.decoding == "corrected":
        texts = {draft["id"]: draft["text"] for draft in drafts}
        missing = [r["id"] for r in records if r["id"] not in texts]
        if missing:
            raise UserError(f"drafts: missing for {len(missing)} ids: {missing[:3]}")
        prompts = [
            correction_ids(tokenizer, spec.prompt, r["prompt"], texts[r["id"]])
            for r in records
        ]
    else:
        prompts = [prompt_ids(tokenizer, spec.prompt, r["prompt"]) for r in records]
    model, facts = _load(weights, spec.device)
    started = time.perf_counter()
    rows = list(
        free.run(
            model,
            tokenizer,
            [
                free.Prompt(record["id"], 0, ids)
                for record, ids in zip(records, prompts, strict=True)
            ],
            spec.sampling,
            seed=spec.seed,
            max_new_tokens=spec.prompt.max_answer_tokens,
            batch_size=spec.batch_size,
            shard=shard,
            shards=spec.shards,
            progress=progress,
        )
    )
    return rows, _finish(facts, sum(row["tokens"] for row in rows), started)


def _load(weights: Path, where: Device) -> tuple[Any, dict[str, Any]]:
    model, device, precision = load_for_generation(weights, where)
    attention.use(model)
    return model, {"device": device, "precision": precision}


def _finish(facts: dict[str, Any], tokens: int, started: float) -> dict[str, Any]:
    return facts | {
        "generated_tokens": tokens,
        "peak_memory_mb": peak_memory_mb(),
        "generation_seconds": round(time.perf_counter() - started, 2),
    }

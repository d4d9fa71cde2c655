"""The generation steps of the workflow: from records and weights to rows and facts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from selfgen.data.examples import Example, examples_of
from selfgen.data.prompts import correction_ids, load_tokenizer, prompt_ids
from selfgen.generation import forced, free
from selfgen.mixing.order import is_plain, part_of, plan_steps
from selfgen.mixing.schedules import rate_at
from selfgen.models import load_for_generation, peak_memory_mb
from selfgen.specs import AnswersSpec, Device, PassSpec, UserError

Rows = list[dict[str, Any]]
Progress = Callable[[int, int], None] | None


@dataclass
class Generated:
    """Rows as they are made, so that no pass is held in memory as a whole; ``facts`` of
    the run are complete when the last row is out."""

    rows: Iterator[dict[str, Any]]
    facts: dict[str, Any]


def run_pass(
    records: Rows,
    weights: Path,
    spec: PassSpec,
    *,
    shard: int = 0,
    engine: str = "auto",
    progress: Progress = None,
) -> Generated:
    """A pass over training records.

    ``records`` are the training records in file order; ``spec.rows`` is the slice of them.
    """
    tokenizer = load_tokenizer(weights)
    model, facts = _load(weights, spec.device)
    examples = examples_of(records[spec.rows[0] : spec.rows[1]], spec.prompt, tokenizer)
    how = {"shard": shard, "engine": engine, "progress": progress}
    return pass_over(model, tokenizer, examples, spec, facts, **how)


def pass_over(
    model: Any,
    tokenizer: Any,
    examples: Sequence[Example],
    spec: PassSpec,
    facts: dict[str, Any],
    **how: Any,
) -> Generated:
    """``run_pass`` with a model and examples that are loaded already; ``how``: shard,
    engine and progress. ``facts`` receives what was done."""
    asked = rates(examples, spec)
    if spec.kind == "free":
        drafts = [
            free.Prompt(
                examples[i].id, epoch * spec.candidates + j, examples[i].prompt_ids
            )
            for i, epoch in asked
            for j in range(spec.candidates)
        ]
        return _free(model, tokenizer, drafts, spec, facts, **how)
    references = [
        forced.Reference(
            examples[i].id,
            epoch,
            examples[i].prompt_ids,
            examples[i].answer_ids,
            None if rate is None else [rate] * len(examples[i].answer_ids),
        )
        for (i, epoch), rate in asked.items()
    ]
    made = forced.run(
        model,
        references,
        spec,
        tokenizer.all_special_ids,
        tokenizer.eos_token_id,
        facts=facts,
        **how,
    )
    by_id = {example.id: example.answer_ids for example in examples}
    return Generated(_forced_facts(made, by_id, facts), facts)


def rates(
    examples: Sequence[Example], spec: PassSpec
) -> dict[tuple[int, int], float | None]:
    """The rows that a pass makes, (example index, epoch), and the mixing rate of each;
    None where it is ``spec.beta``.

    A schedule gives a row the rate of the optimiser step that it will stand in.
    """
    if not spec.step_rows:
        pairs = product(range(len(examples)), range(spec.epochs))
        found: dict[tuple[int, int], float | None] = dict.fromkeys(pairs)
    else:
        steps = plan_steps(
            [example.id for example in examples],
            [len(example) for example in examples],
            epochs=spec.epochs,
            batch_size=spec.step_rows,
            seed=spec.seed,
        )
        found = {
            address: spec.schedule
            and rate_at(spec.schedule, spec.beta, number, len(steps))
            for number, step in part_of(steps, spec.steps)
            for address in step
        }
    for i, epoch in found if spec.plain_share else ():
        if is_plain(spec.seed, examples[i].id, epoch, spec.plain_share):
            found[i, epoch] = 0.0
    return found


def run_answers(
    records: Rows,
    drafts: Rows,
    weights: Path,
    spec: AnswersSpec,
    *,
    shard: int = 0,
    engine: str = "auto",
    progress: Progress = None,
) -> Generated:
    """Answers ``{id, epoch, text, tokens, ended}`` to held-out records.

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
    asked = [
        free.Prompt(record["id"], 0, ids)
        for record, ids in zip(records, prompts, strict=True)
    ]
    how = {"shard": shard, "engine": engine, "progress": progress}
    return _free(model, tokenizer, asked, spec, facts, **how)


def _free(
    model: Any,
    tokenizer: Any,
    prompts: list[free.Prompt],
    spec: PassSpec | AnswersSpec,
    facts: dict[str, Any],
    **how: Any,
) -> Generated:
    made = free.run(
        model,
        tokenizer,
        prompts,
        spec.sampling,
        seed=spec.seed,
        max_new_tokens=spec.prompt.max_answer_tokens,
        batch_size=spec.batch_size,
        shards=spec.shards,
        facts=facts,
        **how,
    )
    return Generated(_free_facts(made, facts), facts)


def _load(weights: Path, where: Device) -> tuple[Any, dict[str, Any]]:
    model, device, precision = load_for_generation(weights, where)
    return model, {"device": device, "precision": precision}


def _free_facts(
    rows: Iterator[dict[str, Any]], facts: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    started, tokens = time.perf_counter(), 0
    for row in rows:
        tokens += row["tokens"]
        yield row
    _finish(facts, tokens, started)


def _forced_facts(
    rows: Iterator[dict[str, Any]],
    answers: dict[str, list[int]],
    facts: dict[str, Any],
) -> Iterator[dict[str, Any]]:
    started, tokens, drawn, changed = time.perf_counter(), 0, 0, 0
    for row in rows:
        tokens += len(row["tokens"])
        drawn += sum(row["drawn"])
        reference = answers[row["id"]]
        changed += sum(a != b for a, b in zip(row["tokens"], reference, strict=True))
        yield row
    facts |= {"drawn_tokens": drawn, "changed_tokens": changed}
    _finish(facts, tokens, started)


def _finish(facts: dict[str, Any], tokens: int, started: float) -> None:
    facts |= {
        "generated_tokens": tokens,
        "peak_memory_mb": peak_memory_mb(),
        "generation_seconds": round(time.perf_counter() - started, 2),
    }

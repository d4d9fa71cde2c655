"""Passes over training records: mixed answers, or drafts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.core.rows import write_rows
from selfgen.core.spec import instance
from selfgen.data.examples import Example, examples_of
from selfgen.data.prompts import load_tokenizer
from selfgen.data.records import read, training_records
from selfgen.generation import ends, forced
from selfgen.generation.answers import Generated, counted, load, run_free
from selfgen.generation.decoding import Prompt
from selfgen.generation.spec import PassSpec
from selfgen.mixing.order import is_plain, part_of, plan_steps
from selfgen.mixing.schedules import rate_at

if TYPE_CHECKING:
    from selfgen.runtime.job import Job


def run_pass(
    records: Iterable[dict[str, Any]],
    weights: Path | str,
    spec: PassSpec,
    *,
    gpus: int = 1,
    **options: Any,
) -> Generated:
    """A pass over training records.

    ``records`` are the training records in file order; ``spec.rows`` is the slice of them.
    ``gpus``: that vLLM spreads the model over; ``options`` as in ``run_free``.
    """
    instance("spec", spec, PassSpec)
    tokenizer = load_tokenizer(weights)
    model, facts = load(weights, spec.device, spec.backend, gpus)
    chosen = training_records(records, spec.rows)
    examples = examples_of(chosen, spec.prompt, tokenizer)
    made = pass_over(model, tokenizer, examples, spec, facts, **options)
    if spec.kind != "free":
        return made
    by_id = {record["id"]: record for record in chosen}
    rows = counted(
        made.rows,
        facts,
        drafts=lambda _: 1,
        right_drafts=lambda row: is_right(row["text"], by_id[row["id"]]),
    )
    return Generated(rows, facts)


def pass_over(
    model: Any,
    tokenizer: Any,
    examples: Sequence[Example],
    spec: PassSpec,
    facts: dict[str, Any],
    **options: Any,
) -> Generated:
    """``run_pass`` with a model and examples that are loaded already; ``options`` as in
    ``run_free``. ``facts`` receives what was done."""
    asked = rates(examples, spec)
    if spec.kind == "free":
        drafts = [
            Prompt(
                examples[i].id,
                epoch * spec.candidates + j,
                examples[i].prompt_ids,
                group=examples[i].id,
            )
            for i, epoch in asked
            for j in range(spec.candidates)
        ]
        return run_free(model, tokenizer, drafts, spec, facts, **options)
    references = [
        forced.Reference(
            examples[i].id,
            epoch,
            examples[i].prompt_ids,
            examples[i].answer_ids,
            None if rate is None else [rate] * len(examples[i].answer_ids),
            group=examples[i].id,
        )
        for (i, epoch), rate in asked.items()
    ]
    made = forced.run(
        model,
        references,
        spec,
        ends.banned(model, tokenizer),
        ends.stops(model, tokenizer),
        facts=facts,
        **options,
    )
    answers = {example.id: example.answer_ids for example in examples}

    def changed(row: dict[str, Any]) -> int:
        pairs = zip(row["tokens"], answers[row["id"]], strict=True)
        return sum(a != b for a, b in pairs)

    rows = counted(
        made,
        facts,
        generated_tokens=lambda row: len(row["tokens"]),
        drawn_tokens=lambda row: sum(row["drawn"]),
        changed_tokens=changed,
    )
    return Generated(rows, facts)


def rates(
    examples: Sequence[Example], spec: PassSpec
) -> dict[tuple[int, int], float | None]:
    """The rows that a pass makes, (example index, epoch), and the mixing rate of each;
    None where it is ``spec.beta``.

    A schedule gives a row the rate of the optimiser step that it will stand in.
    """
    if not spec.step_rows:
        pairs = product(range(len(examples)), range(spec.epochs))
        rate_of: dict[tuple[int, int], float | None] = dict.fromkeys(pairs)
    else:
        steps = plan_steps(
            [example.id for example in examples],
            [len(example) for example in examples],
            epochs=spec.epochs,
            batch_size=spec.step_rows,
            seed=spec.seed,
        )
        rate_of = {
            address: rate_at(spec.schedule, spec.beta, number, len(steps))
            if spec.schedule
            else None
            for number, step in part_of(steps, spec.steps)
            for address in step
        }
    for i, epoch in rate_of if spec.plain_share else ():
        if is_plain(spec.seed, examples[i].id, epoch, spec.plain_share):
            rate_of[i, epoch] = 0.0
    return rate_of


def is_right(text: str, record: Mapping[str, Any]) -> bool:
    """Whether a draft is the reference of its record, or ends in its final answer as it is
    written there, behind ``####`` or in a box. A lower bound, without a task's own grader."""
    if text.strip() == record["reference"].strip():
        return True
    answer = record.get("answer")
    final = text.rpartition("####")[2].strip().replace(",", "")
    return answer is not None and (final == answer or f"boxed{{{answer}}}" in text)


def step(spec: PassSpec, job: Job) -> dict[str, Any]:
    """Self-generated tokens over the training records of a task."""
    job.claim(spec.device.device)
    made = run_pass(
        read(job.input("records"), ["train"]),
        job.input("weights"),
        spec,
        gpus=max(1, job.gpus),
        **job.decoding(),
        progress=job.progress("rows"),
    )
    write_rows(job.output("tokens"), made.rows)
    return made.facts

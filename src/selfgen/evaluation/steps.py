"""Free-running and teacher-forced errors of answers whose steps a checker can judge.

The free-running steps are those of the model's own answer. A teacher-forced step is what the
model writes greedily, up to the step's end, after the reference's steps before it. Each is
judged after what really stood before it, so both error rates, and their excess, are exact:
nothing is aligned, and no other model is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from selfgen.core.errors import UserError
from selfgen.core.memory import peak_memory_mb
from selfgen.core.rows import read_rows, write_rows
from selfgen.core.spec import Sampling
from selfgen.data.checked import Checker, Step, errors, spans, steps_of
from selfgen.data.examples import Example, examples_of
from selfgen.data.prompts import load_tokenizer
from selfgen.data.records import read
from selfgen.evaluation.steps_spec import StepsSpec
from selfgen.generation import ends, engines, free
from selfgen.generation.decoding import Prompt
from selfgen.models.loading import load_for_generation
from selfgen.tasks import DATASETS

if TYPE_CHECKING:
    from selfgen.runtime.job import Job

Rows = list[dict[str, Any]]

LONGER = 4
"""Tokens that a model's own step may have more than the longest of the references'."""


def run(
    model: Any,
    tokenizer: Any,
    records: Rows,
    answers: Rows,
    spec: StepsSpec,
    batch_size: int = 64,
) -> tuple[Rows, dict[str, Any]]:
    """Rows ``{id, due, free, forced}`` of the records of a split, and facts.

    ``due``: steps of the reference. ``free``, ``forced``: for each step nothing where it is
    right, else what is wrong, in a word; as many as the answer has, and as are due.
    ``answers`` are those of ``generation.answers``.
    Raises UserError: an answer is missing; a data set without a checker; a reference that its
    checker finds wrong.
    """
    checker = DATASETS[spec.dataset].checker
    if checker is None:
        raise UserError(f"{spec.dataset}: found no checker of its steps")
    chosen = [record for record in records if record["split"] == spec.split]
    own = {answer["id"]: answer for answer in answers}
    if missing := [record["id"] for record in chosen if record["id"] not in own]:
        raise UserError(f"answers: found none to {missing[0]}")
    examples = examples_of(chosen, spec.prompt, tokenizer)
    counted: dict[str, Any] = {}
    forced, generated = forced_steps(
        model, tokenizer, examples, checker.delimiters, batch_size, facts=counted
    )
    rows = []
    for record, steps in zip(chosen, forced, strict=True):
        prompt, answer = record["prompt"], own[record["id"]]
        due = steps_of(record["reference"], checker.delimiters)
        if any(errors(checker, prompt, due)):
            raise UserError(f"{spec.dataset}: the reference of {record['id']} is wrong")
        written = steps_of(answer["text"], checker.delimiters, bool(answer["ended"]))
        rows.append(
            {
                "id": record["id"],
                "due": len(due),
                "free": errors(checker, prompt, written),
                "forced": after(checker, prompt, due, steps),
            }
        )
    # What ends a turn is every token with a delimiter in it: thousands.
    del counted["turn_end"]
    return rows, counted | {"generated_tokens": generated}


def after(
    checker: Checker, prompt: str, due: Sequence[Step], steps: Sequence[Step]
) -> list[str]:
    """As ``data.checked.errors``, but each step stands after the reference's before it."""
    return [
        errors(checker, prompt, [*due[:k], step])[-1] for k, step in enumerate(steps)
    ]


def forced_steps(
    model: Any,
    tokenizer: Any,
    examples: Sequence[Example],
    delimiters: str,
    batch_size: int = 64,
    longest: int = 1,
    facts: dict[str, Any] | None = None,
) -> tuple[list[list[Step]], int]:
    """The teacher-forced steps of each example, as many as its reference has, and how many
    tokens were generated for them: after the reference's steps before it each is written
    greedily, up to a token with a delimiter in it. What the steps of an example share is read
    once. ``longest``: tokens of the longest step of more references than these, which may be
    a part. ``facts`` as in ``free.complete``.

    Raises UserError: a reference that was cut off.
    """
    stops = ends.stops(model, tokenizer)
    made: list[list[Step]] = []
    prompts, limit = [], 1
    for i, example in enumerate(examples):
        answer = list(example.answer_ids)
        if answer[-1] not in stops:
            raise UserError(
                f"max_new_tokens: found {len(answer)}, allowed: more, for the reference of"
                f" {example.id} does not fit"
            )
        for k, (start, end) in enumerate(spans(tokenizer, answer, delimiters)):
            size = max(longest, end - start)
            limit = max(limit, size + LONGER * bool(delimiters))
            ids = [*example.prompt_ids, *answer[:start]]
            prompts.append(Prompt(f"{i}/{k}", 0, ids, group=str(i)))
        made.append([Step("")] * (k + 1))
    generated = 0
    for prompt, own in free.complete(
        model,
        tokenizer,
        prompts,
        Sampling(),
        seed=0,
        max_new_tokens=limit,
        stop_at=_closing(tokenizer, delimiters),
        batch_size=batch_size,
        facts=facts,
    ):
        i, k = map(int, prompt.id.split("/"))
        before = prompt.prompt_ids[len(examples[i].prompt_ids) :]
        text = tokenizer.decode([*before, *own], skip_special_tokens=True)
        # Of blanks alone up to the limit there is no step.
        for step in steps_of(text, delimiters, ended=own[-1] in stops)[k : k + 1]:
            made[i][k] = step
        generated += len(own)
    return made, generated


def _closing(tokenizer: Any, delimiters: str) -> frozenset[int]:
    """The tokens that have a delimiter in them."""
    ids = tokenizer.get_vocab().values()
    texts = zip(ids, tokenizer.batch_decode([[i] for i in ids]), strict=True)
    return frozenset(i for i, text in texts if set(delimiters) & set(text))


def step(spec: StepsSpec, job: Job) -> dict[str, Any]:
    """Errors of a checkpoint's steps, after its own and after the reference's."""
    job.claim(spec.device.device)
    weights = job.input("weights")
    model, device, precision = load_for_generation(
        weights, spec.device, engines.try_out
    )
    rows, facts = run(
        model,
        load_tokenizer(weights),
        read(job.input("records"), [spec.split]),
        read_rows(*job.paths("answers")),
        spec,
        job.batch_size,
    )
    write_rows(job.output("errors"), rows)
    facts |= {"device": device, "precision": precision}
    return facts | {"peak_memory_mb": peak_memory_mb()}

"""Free-running and teacher-forced errors of answers whose steps a checker can judge.

The free-running steps are those of the model's own answer. A teacher-forced step is what the
model writes greedily, up to the step's end, after the reference's steps before it. Each is
judged after what really stood before it, so both error rates, and their excess, are exact:
nothing is aligned, and no other model is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from selfgen.core.errors import UserError
from selfgen.core.memory import peak_memory_mb
from selfgen.core.rows import read_rows, write_rows
from selfgen.core.spec import Sampling
from selfgen.data.checked import Checker, Step, errors, steps_of
from selfgen.data.examples import Example, examples_of
from selfgen.data.prompts import load_tokenizer
from selfgen.data.records import read
from selfgen.evaluation.exposure import forced_choices
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
    forced, generated = forced_steps(
        model, tokenizer, examples, checker.delimiters, batch_size
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
    return rows, {"generated_tokens": generated}


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
) -> tuple[list[list[Step]], int]:
    """The teacher-forced steps of each example, as many as its reference has, and how many
    tokens were generated for them.

    One pass over the references gives the greedy choice at every position. A step whose
    choices are all the reference's is the reference's; another one is written on greedily
    from the first choice that differs. Raises UserError: a reference that was cut off.
    """
    stops = ends.stops(model, tokenizer)
    banned = ends.banned(model, tokenizer, but=stops)
    choices = forced_choices(model, examples, banned=banned)
    made, begun, limit = [], {}, LONGER
    for i, (example, choice) in enumerate(zip(examples, choices, strict=True)):
        answer = list(example.answer_ids)
        if answer[-1] not in stops:
            raise UserError(
                f"max_new_tokens: found {len(answer)}, allowed: more, for the reference of"
                f" {example.id} does not fit"
            )
        made.append(_cut(tokenizer, answer, delimiters, stops))
        for k, (start, end) in enumerate(spans(tokenizer, answer, delimiters)):
            limit = max(limit, LONGER + end - start)
            if choice.tokens[start:end] != answer[start:end]:
                t = next(t for t in range(start, end) if choice.tokens[t] != answer[t])
                begun[i, k] = [*answer[:t], choice.tokens[t]]
    prompts = [
        Prompt(f"{i}/{k}", 0, [*examples[i].prompt_ids, *ids], group=str(i))
        for (i, k), ids in begun.items()
        if ids[-1] not in stops and not _closed(tokenizer, ids, delimiters, k)
    ]
    rest = {
        prompt.id: ids
        for prompt, ids in free.complete(
            model,
            tokenizer,
            prompts,
            Sampling(),
            seed=0,
            max_new_tokens=limit,
            stop_at=_closing(tokenizer, delimiters),
            batch_size=batch_size,
        )
    }
    for (i, k), ids in begun.items():
        whole = [*ids, *rest.get(f"{i}/{k}", ())]
        # Of blanks alone up to the limit there is no step.
        made[i][k] = [*_cut(tokenizer, whole, delimiters, stops), Step("")][k]
    return made, sum(map(len, rest.values()))


def spans(
    tokenizer: Any, answer: Sequence[int], delimiters: str
) -> Iterator[tuple[int, int]]:
    """The tokens of each step of an answer, from and up to. A step ends with the token that
    has its delimiter in it, or its last character."""
    start = 0
    text = ""
    for t in range(1, len(answer)):
        before, text = text, tokenizer.decode(answer[:t], skip_special_tokens=True)
        for _ in range(_count(text, delimiters) - _count(before, delimiters)):
            yield start, t
            start = t
    yield start, len(answer)


def _closed(tokenizer: Any, ids: Sequence[int], delimiters: str, k: int) -> bool:
    """Whether step ``k`` has its delimiter, or is a character."""
    return _count(tokenizer.decode(ids, skip_special_tokens=True), delimiters) > k


def _closing(tokenizer: Any, delimiters: str) -> frozenset[int]:
    """The tokens that have a delimiter in them."""
    ids = tokenizer.get_vocab().values()
    texts = zip(ids, tokenizer.batch_decode([[i] for i in ids]), strict=True)
    return frozenset(i for i, text in texts if set(delimiters) & set(text))


def _count(text: str, delimiters: str) -> int:
    return sum(map(text.count, delimiters)) if delimiters else len(text)


def _cut(
    tokenizer: Any, ids: Sequence[int], delimiters: str, stops: frozenset[int]
) -> list[Step]:
    text = tokenizer.decode(ids, skip_special_tokens=True)
    return steps_of(text, delimiters, ended=ids[-1] in stops)


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

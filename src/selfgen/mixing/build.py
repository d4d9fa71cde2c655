"""From records and a pass to the rows of a checkpoint, in training order."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from selfgen.core.errors import UserError
from selfgen.core.spec import instance
from selfgen.data.examples import Example, examples_of
from selfgen.data.records import checked_records, training_records
from selfgen.mixing.mix import Grades, MakeRows, Mix, Mixing
from selfgen.mixing.order import Step, part_of, plan_steps, plan_tokens
from selfgen.mixing.rows import IGNORE, Fields
from selfgen.mixing.spec import RowsSpec

Rows = list[dict[str, Any]]


def build(
    records: Rows,
    passes: Rows,
    spec: RowsSpec[Mix],
    tokenizer: Any,
    **extra: Any,
) -> Rows:
    """Rows ``{step, id, epoch, input_ids, labels, attention_mask}`` in training order;
    pairs have a column ``role``, ``chosen`` or ``rejected``. ``extra`` as in ``stream``.

    Raises UserError when the pass misses, doubles or invents an (id, epoch).
    """
    return [*joined(slicer(records, spec, tokenizer), passes, spec, tokenizer, **extra)]


Slicer = Callable[[tuple[int, int]], Sequence[Example]]
"""A slice of the training records, tokenised."""


def slicer(records: Rows, spec: RowsSpec[Mix], tokenizer: Any) -> Slicer:
    """Slices of ``records`` for ``joined``."""
    kept = checked_records(records)  # which may be an iterator
    return lambda rows: examples_of(
        training_records(kept, rows), spec.prompt, tokenizer
    )


def joined(
    examples: Slicer,
    passes: Rows,
    spec: RowsSpec[Mix],
    tokenizer: Any,
    **extra: Any,
) -> Iterator[dict[str, Any]]:
    """The rows of each part of ``spec`` as ``stream`` makes them, one part after the other;
    steps are counted on."""
    instance("spec", spec, RowsSpec)
    first = 0
    for part in spec.parts():
        step = first
        for row in stream(examples(part.rows), passes, part, tokenizer, **extra):
            step = first + row["step"]
            yield row | {"step": step}
        first = step + 1


def mix(*args: Any, **extra: Any) -> Rows:
    """The rows of ``stream`` as a list."""
    return [*stream(*args, **extra)]


def stream(
    examples: Sequence[Example],
    passes: Rows,
    spec: RowsSpec[Mix],
    tokenizer: Any,
    *,
    tokens: float | None = None,
    grades: Grades | None = None,
    function: MakeRows | None = None,
    facts: Counter[str] | None = None,
) -> Iterator[dict[str, Any]]:
    """``build`` from examples that are tokenised already, of one part of a spec.

    Args:
        tokens: how many tokens to train on instead of the epochs.
        grades: of each (id, epoch) of the pass, where the method reads them.
        function: makes the rows in the place of the method.
        facts: receives how many rows and steps are left out, since they have no label.
    """
    instance("spec", spec, RowsSpec)
    instance("RowsSpec.method", spec.method, Mix)
    if not isinstance(passes, Iterable):
        raise UserError(f"pass: found {passes!r:.60}, allowed: its rows")
    passes = list(passes)
    steps = [*_steps(examples, spec, tokens)]
    reads = spec.method.reads_pass
    passed = _by_address(passes, examples, steps, spec) if reads else {}
    mixing = Mixing(spec, tokenizer, examples, passed, grades or {})
    make = _checked(function) if function else spec.method.make
    left_out = Counter[str]()
    for number, step in steps:
        rows = []
        for i, epoch in step:
            for fields in make(mixing, i, epoch):
                row = {"id": examples[i].id, "epoch": epoch, **fields}
                if spec.loss == "all":
                    _ask_prompt(row, examples[i].prompt_ids)
                if _has_label(row):
                    rows.append(row)
                else:
                    left_out["rows_left_out"] += 1
        # A step without rows is left out, and the others are counted on.
        if not rows:
            left_out["steps_left_out"] += 1
        number -= left_out["steps_left_out"]
        yield from ({"step": number, **row} for row in rows)
    if left_out["steps_left_out"] == len(steps):
        raise UserError(f"pass: {spec.method.empty}")
    if facts is not None:
        facts.update(left_out)


def _has_label(row: Fields) -> bool:
    """Whether a row asks for anything; its first position cannot."""
    return any(label != IGNORE for label in row["labels"][1:])


def _ask_prompt(row: dict[str, Any], prompt: Sequence[int]) -> None:
    """Label the prompt that a row begins with, too. What else is context, a draft and its
    correction turn, is not asked for."""
    pairs = zip(prompt, row["input_ids"], strict=False)
    same = [a for a, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)]
    row["labels"] = [*same, *row["labels"][len(same) :]]


def _steps(
    examples: Sequence[Example], spec: RowsSpec[Mix], tokens: float | None
) -> Iterator[tuple[int, Step]]:
    ids = [example.id for example in examples]
    lengths = [len(example) for example in examples]
    options = {"batch_size": spec.batch_size, "seed": spec.seed}
    if tokens is not None:
        return part_of(plan_tokens(ids, lengths, tokens=tokens, **options), None)
    return part_of(plan_steps(ids, lengths, epochs=spec.epochs, **options), spec.steps)


def _by_address(
    passes: Rows,
    examples: Sequence[Example],
    steps: Sequence[tuple[int, Step]],
    spec: RowsSpec[Mix],
) -> dict[tuple[str, int], dict[str, Any]]:
    rows = [_Passed(row) for row in passes]
    addresses = [(row["id"], row["epoch"]) for row in rows]
    each = spec.method.answers_each
    expected = {
        (examples[i].id, epoch * each + j)
        for _, step in steps
        for i, epoch in step
        for j in range(each)
    }
    doubled = len(addresses) - len(set(addresses))
    missing, foreign = expected - set(addresses), set(addresses) - expected
    if doubled or missing or foreign:
        names = sorted(f"{i} (epoch {e})" for i, e in missing | foreign)[:3]
        raise UserError(
            f"pass: {len(missing)} rows missing, {len(foreign)} foreign, {doubled} doubled"
            + (f": {', '.join(names)}" if names else "")
        )
    return dict(zip(addresses, rows, strict=True))


class _Passed(dict[str, Any]):
    """A row of a pass, which may be another method's."""

    def __missing__(self, key: str) -> Any:
        raise UserError(
            f"pass: the row of {self.get('id')} has no {key}, it has {', '.join(self)}; is"
            " it the pass of another method?"
        )


def _checked(function: MakeRows) -> MakeRows:
    def make(mixing: Mixing, i: int, epoch: int) -> list[Fields]:
        made = list(function(mixing, i, epoch))
        for fields in made:
            lengths = {len(fields[key]) for key in ("input_ids", "labels")}
            if len(lengths) > 1 or not _has_label(fields):
                raise UserError(
                    f"function: its row of {mixing.examples[i].id} has no label, or not"
                    " as many labels as input_ids"
                )
        return made

    return make

"""Labels that are right after what is really read, in the place of the reference's.

A checker knows all right next steps after any steps, so each position of a mixed answer can
be asked for a token of one: a dynamic oracle (Goldberg and Nivre 2012, COLING). Our reading;
it tests whether labels that no longer fit the context are what harms (docs/method.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from selfgen.data.checked import Checker, Facts, Step, steps_of, written
from selfgen.data.prompts import PromptSpec, answer_ids
from selfgen.data.turns import text_ids, turns
from selfgen.mixing.rows import IGNORE


def labels(
    tokenizer: Any,
    prompt: PromptSpec,
    checker: Checker,
    facts: Facts,
    context: Sequence[int],
    reference: str,
) -> list[int]:
    """A label for each position of ``context`` [answer length], the ids of an answer as it is
    read: the next token of a right step after those before it. ``IGNORE`` where the step that
    they have begun can be none, or nothing but the end is right. Of several right steps that
    one is asked for which comes first in ``reference``.
    """
    found = []
    begun, done = 0, -1
    right: list[list[int]] = []
    order = _order(reference, checker.delimiters)
    for t in range(len(context)):
        steps = _complete(tokenizer, context[:t], checker.delimiters)
        if len(steps) > done:
            begun, done = t, len(steps)
            options = sorted(
                checker.right(facts, steps),
                key=lambda step: order.get(_word(step, checker.delimiters), len(order)),
            )
            right = [
                ids
                for option in options
                for ids in _ids(tokenizer, prompt, checker, steps, option)
            ]
        own = list(context[begun:t])
        fitting = (
            ids for ids in right if ids[: len(own)] == own and len(ids) > len(own)
        )
        found.append(next(fitting, [*own, IGNORE])[len(own)])
    return found


def _complete(tokenizer: Any, ids: Sequence[int], delimiters: str) -> list[Step]:
    text = tokenizer.decode(ids, skip_special_tokens=True)
    steps = steps_of(text, delimiters, ended=False) if text else []
    if delimiters and steps and steps[-1].text[-1:] not in set(delimiters):
        steps.pop()
    return steps


def _order(reference: str, delimiters: str) -> dict[str, int]:
    """Where each word of the reference stands."""
    steps = steps_of(reference, delimiters)
    return {_word(step, delimiters): place for place, step in enumerate(steps)}


def _word(step: Step, delimiters: str) -> str:
    return step.text.rstrip(delimiters) if delimiters else step.text


def _ids(
    tokenizer: Any,
    prompt: PromptSpec,
    checker: Checker,
    before: Sequence[Step],
    step: Step,
) -> Iterator[list[int]]:
    """The tokens of a step after some others, EOS included; none where the tokenizer joins
    it to what stands before."""
    own = turns(tokenizer)
    texts = (written(x, checker.delimiters) for x in (before, [*before, step]))
    first, whole = (
        text_ids(
            tokenizer,
            own.lead + prompt.answer_prefix + text,
            behind=own.opening,
            control=prompt.control_tokens,
        )
        for text in texts
    )
    if step.ended:
        unlimited = replace(prompt, max_answer_tokens=len(whole) + 100)
        text = written([*before, step], checker.delimiters)
        whole = answer_ids(tokenizer, unlimited, text)
    if whole[: len(first)] == first:
        yield whole[len(first) :]

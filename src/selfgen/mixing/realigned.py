"""Labels that are right after what is really read, in the place of the reference's.

A checker knows all right next steps after any steps, so each position of an answer can be
asked for a token of one: a dynamic oracle (Goldberg and Nivre 2012, COLING). Our readings;
they test whether labels that no longer fit the context are what harms (docs/method.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from selfgen.data.checked import Checker, Step, errors, steps_of, written
from selfgen.data.examples import Example
from selfgen.data.prompts import PromptSpec, answer_ids, answer_text
from selfgen.data.turns import text_ids, turns
from selfgen.mixing.rows import IGNORE

LONGER = 2
"""Times as many steps as the reference has: a continuation that has more has no end."""


@dataclass(frozen=True)
class Oracle:
    """What is right in an answer to one example. Of several right steps a label is the one
    that the reference has at that place, while it is right, or the next of the reference that
    is; a draft goes on with those that come first in the reference."""

    tokenizer: Any
    spec: PromptSpec
    checker: Checker
    example: Example

    def labels(self, context: Sequence[int]) -> list[int]:
        """A label for each position of ``context`` [answer length], the ids of an answer as
        it is read: the next token of a right step after those before it. ``IGNORE`` where
        the step that they have begun can be none."""
        found = []
        begun, done = 0, -1
        right: list[list[int]] = []
        for t in range(len(context)):
            steps = self._complete(context[:t])
            if len(steps) > done:
                begun, done = t, len(steps)
                right = [
                    x
                    for step in self._right(steps, len(steps))
                    for x in self._ids(steps, step)
                ]
            own = list(context[begun:t])
            fitting = (
                ids for ids in right if ids[: len(own)] == own and len(ids) > len(own)
            )
            found.append(next(fitting, [*own, IGNORE])[len(own)])
        return found

    def continued(self, draft: str, ended: bool) -> tuple[list[int], list[int]] | None:
        """A draft up to and with its first wrong step, then right steps to the end: ids and
        labels, which leave the wrong step out. Where it ended wrongly, or was cut off, that
        is left out of what is read, too. None where there is no error, or the tokenizer joins
        what stands before and behind one."""
        marks = self.checker.delimiters
        steps = steps_of(draft, marks, ended)
        wrong = errors(self.checker, self.example.prompt, steps)
        if not any(wrong):
            return None
        first = next(k for k, error in enumerate(wrong) if error)
        closed = not steps[first].ended and self._is_closed(steps[first])
        kept = steps[: first + closed]
        whole = list(kept)
        most = LONGER * len(self._order) + len(kept)
        while not (whole and whole[-1].ended) and len(whole) < most:
            whole.append(self._right(whole)[0])
        before, read = (self._text_ids(part) for part in (steps[:first], kept))
        ids = answer_ids(self.tokenizer, self.spec, written(whole, marks))
        if read[: len(before)] != before or ids[: len(read)] != read:
            return None
        return ids, [*before, *[IGNORE] * (len(read) - len(before)), *ids[len(read) :]]

    @cached_property
    def _order(self) -> dict[str, int]:
        """Where each word of the reference stands."""
        reference = answer_text(self.tokenizer, list(self.example.answer_ids))
        steps = steps_of(reference, self.checker.delimiters)
        return {self._word(step): place for place, step in enumerate(steps)}

    def _word(self, step: Step) -> str:
        marks = self.checker.delimiters
        return step.text.rstrip(marks) if marks else step.text

    def _right(self, before: Sequence[Step], first: int = 0) -> list[Step]:
        """All right steps in the order of the reference, from its step ``first`` on."""
        last = len(self._order)

        def place(step: Step) -> int:
            found = self._order.get(self._word(step))
            return last if found is None else (found - first) % last

        return sorted(self.checker.right(self.example.prompt, before), key=place)

    def _is_closed(self, step: Step) -> bool:
        marks = self.checker.delimiters
        return not marks or step.text[-1:] in set(marks)

    def _complete(self, ids: Sequence[int]) -> list[Step]:
        text = self.tokenizer.decode(ids, skip_special_tokens=True)
        steps = steps_of(text, self.checker.delimiters, ended=False)
        return [step for step in steps if self._is_closed(step)]

    def _ids(self, before: Sequence[Step], step: Step) -> Iterator[list[int]]:
        """The tokens of a step after some others, EOS included; none where the tokenizer
        joins it to what stands before."""
        steps = [*before, step]
        first, whole = self._text_ids(before), self._text_ids(steps)
        if step.ended:
            spec = replace(self.spec, max_answer_tokens=len(whole) + 100)
            text = written(steps, self.checker.delimiters)
            whole = answer_ids(self.tokenizer, spec, text)
        if whole[: len(first)] == first:
            yield whole[len(first) :]

    def _text_ids(self, steps: Sequence[Step]) -> list[int]:
        own = turns(self.tokenizer)
        text = written(steps, self.checker.delimiters)
        return text_ids(
            self.tokenizer,
            own.lead + self.spec.answer_prefix + text,
            behind=own.opening,
            control=self.spec.control_tokens,
        )

"""What is read of a small model: exact match, and exposure bias by position and length."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from selfgen.core.spec import Sampling
from selfgen.data.examples import Example
from selfgen.data.prompts import PromptSpec, correction_ids
from selfgen.evaluation import exposure
from selfgen.generation import ends, free
from selfgen.generation.decoding import Prompt

if TYPE_CHECKING:
    import pandas

BATCH = 512
"""Prompts that are answered together; more is not faster for models of this size."""


@dataclass(frozen=True)
class HeldOut:
    """The prompts of a split: their references as ids, their lengths in items, and which
    tokens mean the same."""

    examples: Sequence[Example]
    items: Sequence[int]
    same: Mapping[int, int]
    prompt: PromptSpec


@dataclass(frozen=True)
class Reading:
    """One answer beside its reference; ``answer`` is closed by EOS where it ended.
    ``draft``: the answer that it corrects."""

    example: Example
    items: int
    answer: list[int]
    forced: exposure.Forced
    aligned: exposure.Aligned
    draft: list[int] | None = None

    def row(self) -> dict[str, Any]:
        """The measures of one answer, as shares of 1 or as counts of tokens."""
        aligned = self.aligned
        exact = not any(aligned.free_wrong) and not aligned.longer
        return {
            "id": self.example.id,
            "items": self.items,
            "exact": float(exact),
            "similarity": aligned.similarity,
            "nll": self.forced.nll / len(self.example.answer_ids),
            "tokens": len(self.answer),
            "n": len(aligned.free_wrong),
            "forced_wrong": sum(aligned.forced_wrong),
            "free_wrong": sum(aligned.free_wrong),
            "after_error": sum(aligned.after_error),
            "recovered": sum(aligned.recovered),
            "edited": float(self.draft is not None and self.draft != self.answer),
        }


def read(
    model: Any,
    tokenizer: Any,
    held_out: HeldOut,
    drafts: Mapping[str, list[int]] | None = None,
) -> list[Reading]:
    """Greedy answers and teacher-forced choices for held-out prompts, in their order.

    ``drafts``: answers by id; the prompt is then followed by draft and correction turn.
    """
    asked = [
        e if drafts is None else _corrected(e, held_out.prompt, tokenizer, drafts[e.id])
        for e in held_out.examples
    ]
    answers = free.complete(
        model,
        tokenizer,
        [Prompt(e.id, 0, e.prompt_ids) for e in asked],
        Sampling(),
        seed=0,
        max_new_tokens=held_out.prompt.max_answer_tokens,
        batch_size=BATCH,
        engine="sequential",
    )
    by_id = {prompt.id: ids for prompt, ids in answers}
    stops = ends.stops(model, tokenizer)
    banned = ends.banned(model, tokenizer, but=stops)
    forced = exposure.forced_choices(model, asked, banned=banned)
    return [
        Reading(
            example,
            items,
            by_id[example.id],
            choice,
            exposure.aligned(
                by_id[example.id], choice.tokens, example.answer_ids, held_out.same
            ),
            drafts[example.id] if drafts else None,
        )
        for example, items, choice in zip(
            held_out.examples, held_out.items, forced, strict=True
        )
    ]


def _corrected(
    example: Example, prompt: PromptSpec, tokenizer: Any, draft: list[int]
) -> Example:
    text = tokenizer.decode(draft, skip_special_tokens=True)
    ids = correction_ids(tokenizer, prompt, example.prompt, text, example.history)
    return Example(example.id, example.prompt, ids, example.answer_ids)


def scores(readings: Iterable[Reading]) -> pandas.DataFrame:
    """One row an answer."""
    import pandas as pd

    return pd.DataFrame([reading.row() for reading in readings])


def positions(readings: Sequence[Reading]) -> pandas.DataFrame:
    """Counts by ``items`` of the prompt and ``position`` in the answer, from 0."""
    import pandas as pd

    parts = []
    for items in sorted({reading.items for reading in readings}):
        own = [reading.aligned for reading in readings if reading.items == items]
        counts = exposure.by_position(own).groupby("position", as_index=False).sum()
        parts.append(counts.drop(columns="length").assign(items=items))
    return pd.concat(parts, ignore_index=True)


def summary(readings: Sequence[Reading]) -> dict[str, float]:
    """Means over answers: what a learning curve shows."""
    frame = scores(readings)
    tokens = frame["n"].sum()
    return {
        "exact": float(frame["exact"].mean()),
        "similarity": float(frame["similarity"].mean()),
        "forced_error": float(frame["forced_wrong"].sum() / tokens),
        "free_error": float(frame["free_wrong"].sum() / tokens),
    }

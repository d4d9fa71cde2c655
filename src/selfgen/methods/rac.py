"""Reference-Answer-based Correction: learn to correct one's own draft (Algorithm 2, our
reading)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from selfgen.core.types import Keys, Number, Share
from selfgen.data.prompts import answer_text, correction_ids
from selfgen.generation.spec import Drawing, Sampled
from selfgen.methods.base import CORRECTION_TOKENS, Cost, Rounds
from selfgen.mixing import rows
from selfgen.mixing.mix import Mix, Mixing
from selfgen.mixing.rows import Fields


class Hint(Keys):
    """A part of the reference that the correction turn tells in training; at inference no
    hint is given."""

    share: Annotated[Number, Field(gt=0, le=1)] = Field(
        description="Of the reference's tokens, from its beginning, rounded down."
    )
    text: str = Field(
        default="\nIt begins: {hint}",
        description="What stands behind the correction turn, around `{hint}`; nothing where"
        " the share is less than a token.",
    )

    @model_validator(mode="after")
    def _holds_it(self) -> Hint:
        if "{hint}" not in self.text:
            raise ValueError("text: found no {hint}, it must hold one")
        return self

    def told(self, tokenizer: Any, answer: Sequence[int]) -> str:
        """What a correction turn says of a reference."""
        told = answer_text(tokenizer, [*answer[: int(self.share * len(answer))]])
        # A character that was cut in the middle is not told.
        told = told.rstrip("\ufffd")
        return told and self.text.replace("{hint}", told)


class RacRows(Mix):
    """A correction row, a plain one, or both."""

    mix: Literal["rac"] = Field(description="Draft and correction turn as context.")
    correction_share: Share = Field(
        default=0.5, description="Share of the examples that have a correction row."
    )
    correction_rows: Literal["replace", "add"] = Field(
        default="replace",
        description="`replace`: in the place of the example's plain row; `add`: beside it, in"
        " the same optimiser step.",
    )
    draft_length: Literal["full", "random"] = Field(
        default="full", description="`random`: the draft is cut after a random word."
    )
    drafts: Literal["own", "another"] = Field(
        default="own",
        description="`another`: the draft of another example, a control.",
    )
    hint: Hint | None = Field(
        default=None, description="Tell the beginning of the reference in training."
    )

    def make(self, mixing: Mixing, i: int, epoch: int) -> list[Fields]:
        spec, example = mixing.spec, mixing.examples[i]
        plain = rows.plain(example.prompt_ids, example.answer_ids)
        if not rows.is_correction(spec.seed, example.id, epoch, self.correction_share):
            return [plain]
        source = mixing.once(neighbours)[i] if self.drafts == "another" else i
        draft = mixing.own(source, epoch)["text"]
        if self.draft_length == "random":
            draft = cut(draft, mixing.draw("cut", i, epoch))
        prompt = spec.prompt
        if self.hint:
            told = self.hint.told(mixing.tokenizer, example.answer_ids)
            prompt = replace(prompt, correction=prompt.correction + told)
        context = correction_ids(
            mixing.tokenizer, prompt, example.prompt, draft, example.history
        )
        corrected = rows.rac(context, example.answer_ids)
        return [plain, corrected] if self.correction_rows == "add" else [corrected]


def neighbours(mixing: Mixing) -> list[int]:
    """For each example another one: the next in the order of a hash of ids."""
    order = sorted(
        range(len(mixing.examples)), key=lambda i: mixing.draw("another", i, 0)
    )
    following = dict(zip(order, order[1:] + order[:1], strict=True))
    return [following[i] for i in range(len(mixing.examples))]


def cut(draft: str, u: float) -> str:
    """The first words of a draft, 1 to all of them with equal probability; ``u`` in
    [0, 1) decides. A draft without words stays as it is."""
    words = draft.split(" ")
    return " ".join(words[: 1 + int(u * len(words))])


class Rac(RacRows, Sampled, Rounds):
    """Reference-Answer-based Correction: learn to correct one's own draft."""

    correction: str | None = Field(
        default=None, description="The correction turn; the task's by default."
    )

    mixed_by = RacRows
    whole_rows = True
    takes_longer = True

    @model_validator(mode="after")
    def _one_round(self) -> Rac:
        if self.drafts == "another" and self.rounds > 1:
            raise ValueError("rounds: allowed with drafts 'another': 1")
        return self

    @property
    def corrects(self) -> bool:
        return True

    def correction_turn(self) -> str | None:
        return self.correction

    def drawing(self, number: int) -> Drawing:
        return Drawing(kind="free", sampling=self.sampling)

    def cost(self, prompt: int, answer: int) -> Cost:
        hint = round(self.hint.share * answer) if self.hint else 0
        more = answer + CORRECTION_TOKENS + hint
        if self.correction_rows == "add":
            more += prompt + answer
        return Cost(prompt + answer + round(self.correction_share * more))


METHOD = Rac

"""Reference-Answer-based Correction: learn to correct one's own draft (Algorithm 2, our
reading)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from selfgen.core.types import Share
from selfgen.data.prompts import correction_ids
from selfgen.generation.spec import Drawing, Sampled
from selfgen.methods.base import CORRECTION_TOKENS, Cost, Rounds
from selfgen.mixing import rows
from selfgen.mixing.mix import Mix, Mixing
from selfgen.mixing.rows import Fields


class RacRows(Mix):
    """A correction row, or a plain one."""

    mix: Literal["rac"] = Field(description="Draft and correction turn as context.")
    correction_share: Share = Field(
        default=0.5, description="Share of correction rows; the others are plain."
    )
    draft_length: Literal["full", "random"] = Field(
        default="full", description="`random`: the draft is cut after a random word."
    )
    drafts: Literal["own", "another"] = Field(
        default="own",
        description="`another`: the draft of another example, a control.",
    )

    def make(self, mixing: Mixing, i: int, epoch: int) -> list[Fields]:
        spec, example = mixing.spec, mixing.examples[i]
        if not rows.is_correction(spec.seed, example.id, epoch, self.correction_share):
            return [rows.plain(example.prompt_ids, example.answer_ids)]
        source = mixing.once(neighbours)[i] if self.drafts == "another" else i
        draft = mixing.own(source, epoch)["text"]
        if self.draft_length == "random":
            draft = cut(draft, mixing.draw("cut", i, epoch))
        context = correction_ids(mixing.tokenizer, spec.prompt, example.prompt, draft)
        return [rows.rac(context, example.answer_ids)]


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
        more = round(self.correction_share * (answer + CORRECTION_TOKENS))
        return Cost(prompt + answer + more)


METHOD = Rac

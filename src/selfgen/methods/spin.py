"""Self-play fine-tuning (Chen et al. 2024): the reference over one's own answer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from selfgen.generation.spec import Drawing, Sampled
from selfgen.methods.base import Cost, Rounds
from selfgen.mixing import rows
from selfgen.mixing.mix import Mix, Mixing
from selfgen.mixing.rows import Fields
from selfgen.training.spec import Preference


class SpinRows(Mix):
    """The reference over the own answer."""

    mix: Literal["spin"] = Field(description="Pairs: reference over own answer.")

    def make(self, mixing: Mixing, i: int, epoch: int) -> list[Fields]:
        example = mixing.examples[i]
        own = mixing.tokens(mixing.own(i, epoch)["text"])
        return rows.pair(example.prompt_ids, example.answer_ids, own)


class Spin(SpinRows, Preference, Sampled, Rounds):
    """Self-play fine-tuning (Chen et al. 2024): the reference over one's own answer."""

    mixed_by = SpinRows
    loss = "pairs"
    takes_longer = True

    def drawing(self, number: int) -> Drawing:
        return Drawing(kind="free", sampling=self.sampling)

    def cost(self, prompt: int, answer: int) -> Cost:
        # Pairs are read once before training, by the reference model.
        return Cost(2 * (prompt + answer), before=2 * (prompt + answer))


METHOD = Spin

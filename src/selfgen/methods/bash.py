"""Batch-Scheduled Sampling: mixed context, reference labels (Algorithm 1, our reading)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from selfgen.core.types import Count, Share
from selfgen.generation.spec import Drawing, Sampled
from selfgen.methods.base import Rounds
from selfgen.mixing import rows
from selfgen.mixing.mix import Mix, Mixing
from selfgen.mixing.rows import Fields
from selfgen.mixing.schedules import MixingRate


class BashRows(Mix):
    """The pass's tokens as context, the reference as labels."""

    mix: Literal["bash"] = Field(description="Self-generated tokens in the context.")

    def make(self, mixing: Mixing, i: int, epoch: int) -> list[Fields]:
        example, tokens = mixing.examples[i], mixing.own(i, epoch)["tokens"]
        return [rows.bash(example.prompt_ids, example.answer_ids, tokens)]


class Bash(BashRows, MixingRate, Sampled, Rounds):
    """Batch-Scheduled Sampling: mixed context, reference labels."""

    draw: Literal["autoregressive", "onepass"] = Field(
        default="autoregressive",
        description="`autoregressive`: left to right on the mixed prefix; `onepass`: from"
        " the reference prefix, cheaper and another distribution.",
    )
    span: Count = Field(
        default=1,
        description="Own tokens come in runs of this length; beta stays their share.",
    )
    plain_share: Share = Field(
        default=0.0, description="Share of rows that are not mixed."
    )
    eos: Literal["exclude", "keep"] = Field(
        default="exclude", description="May the model draw EOS before the end?"
    )

    mixed_by = BashRows
    whole_rows = True
    mixes_context = True
    takes_longer = True

    def drawing(self, number: int) -> Drawing:
        return Drawing(
            kind="forced" if self.draw == "autoregressive" else "onepass",
            sampling=self.sampling,
            beta=self.in_round(number),
            schedule=self.over_steps(),
            eos=self.eos,
            span=self.span,
            plain_share=self.plain_share,
        )

    @property
    def only_beta(self) -> float | None:
        named = {name: getattr(self, name) for name in ("label", "parent", "stage")}
        same = Bash(mix="bash", beta=self.beta, decodings=self.decodings, **named)
        return self.beta if self == same else None


METHOD = Bash

"""Batch-Scheduled Sampling: mixed context, reference labels (Algorithm 1, our reading)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from selfgen.core.types import Count, Share
from selfgen.generation.spec import Drawing, Sampled
from selfgen.methods.base import Rounds
from selfgen.mixing import rows
from selfgen.mixing.mix import Mix, Mixing
from selfgen.mixing.rows import Fields, Labels, LossOn
from selfgen.mixing.schedules import MixingRate


class BashRows(Mix):
    """The pass's tokens as context, the reference as labels."""

    mix: Literal["bash"] = Field(description="Self-generated tokens in the context.")
    loss_on: LossOn = Field(
        default="all",
        description="Labels that are trained on. `behind-changed`: those behind a context"
        " token that differs from the reference; `kept`: those at whose own position the"
        " reference's token was kept. A row without any is left out.",
    )

    labels: Labels = Field(
        default="reference",
        description="`aligned`: a token is followed by what follows its counterpart in the"
        " reference, at whatever position that is; no label behind a token without one. For"
        " own tokens in runs (`span`).",
    )

    empty = "no token differs from the reference, so no label stands behind one"

    def make(self, mixing: Mixing, i: int, epoch: int) -> list[Fields]:
        example, tokens = mixing.examples[i], mixing.own(i, epoch)["tokens"]
        answer, how = example.answer_ids, (self.loss_on, self.labels)
        return [rows.bash(example.prompt_ids, answer, tokens, *how)]


class Interleaved(MixingRate, Sampled, Rounds):
    """What reads a pass of reference and own tokens."""

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


class Bash(BashRows, Interleaved):
    """Batch-Scheduled Sampling: mixed context, reference labels."""

    mixed_by = BashRows

    @model_validator(mode="after")
    def _fitting(self) -> Bash:
        # A round has a fixed part of the steps, of which none can be left out.
        if self.loss_on != "all" and self.labels == "aligned":
            raise ValueError("labels: allowed with loss_on: 'reference'")
        if self.loss_on == "behind-changed" and self.rounds > 1:
            raise ValueError("rounds: allowed with loss_on 'behind-changed': 1")
        return self

    @property
    def only_beta(self) -> float | None:
        named = {name: getattr(self, name) for name in ("label", "parent", "stage")}
        same = Bash(mix="bash", beta=self.beta, decodings=self.decodings, **named)
        return self.beta if self == same else None

    @property
    def kind(self) -> str:
        # Where no token of the reference is read, it is RAC token by token.
        return "rac-token" if self.only_beta == 1 else self.mix


METHOD = Bash

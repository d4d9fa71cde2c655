"""What passes over training records and answers to held-out prompts read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from selfgen.core.errors import UserError
from selfgen.core.names import DECODINGS
from selfgen.core.spec import Checked, Device, Sampling, Steps
from selfgen.core.types import (
    Count,
    CountOrZero,
    Keys,
    Number,
    Seed,
    Share,
    one_of,
)
from selfgen.data.prompts import PromptSpec
from selfgen.mixing.schedules import Schedule


class Sampled(Keys):
    """How self-generated tokens are chosen."""

    temperature: Annotated[Number, Field(ge=0)] = Field(
        default=1.0, description="Of the self-generated tokens; 0 is greedy."
    )
    top_k: CountOrZero = Field(default=0, description="0 is off.")
    top_p: Annotated[Number, Field(gt=0, le=1)] = Field(
        default=1.0, description="1 is off."
    )

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.temperature, self.top_k, self.top_p)


@dataclass(frozen=True, kw_only=True)
class Drawing(Checked):
    """What a method says of its pass.

    ``kind``: ``forced`` (left to right on the mixed prefix), ``onepass`` (from the reference
    prefix) or ``free`` (a draft). ``beta``: the mixing rate, which ``schedule`` may move over
    the steps. ``eos``: may the model draw EOS before the reference ends? ``span``: length of
    the runs of drawn positions. ``plain_share``: share of rows that are not mixed.
    ``candidates``: answers of an example and epoch.
    """

    kind: Annotated[str, one_of("forced", "onepass", "free")]
    sampling: Sampling
    beta: Share = 0.0
    schedule: Schedule | None = None
    eos: Annotated[str, one_of("exclude", "keep")] = "exclude"
    span: Count = 1
    plain_share: Share = 0.0
    candidates: Count = 1


@dataclass(frozen=True, kw_only=True)
class PassSpec(Drawing):
    """A pass over training records that writes self-generated tokens.

    ``step_rows`` (rows of an optimiser step) and ``steps`` say in which step a row will
    stand, where its rate depends on it. ``backend``: of a free pass, ``vllm``, or none for
    our own.
    """

    seed: Seed
    rows: tuple[CountOrZero, Count]
    epochs: Count
    prompt: PromptSpec
    device: Device
    step_rows: CountOrZero = 0
    steps: Steps | None = None
    backend: Annotated[str, one_of("", "vllm")] = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.schedule and not self.step_rows:
            raise UserError(
                "PassSpec.step_rows: found 0 with a schedule, allowed: 1 or more"
            )
        if self.backend and self.kind != "free":
            raise UserError(
                f"PassSpec.backend: found {self.backend!r} with kind {self.kind!r},"
                " allowed with kind 'free'"
            )


@dataclass(frozen=True)
class AnswersSpec(Checked):
    """Free-running answers to held-out prompts.

    ``decoding``: ``direct`` answers the prompt; ``corrected`` is shown the direct answer and
    the correction turn, and answers again; ``corrected-2`` is shown the corrected answer, and
    so on. ``backend``: ``vllm``, or none for our own.
    """

    decoding: Annotated[str, one_of(*DECODINGS)]
    splits: tuple[str, ...]
    prompt: PromptSpec
    sampling: Sampling
    seed: Seed
    device: Device
    backend: Annotated[str, one_of("", "vllm")] = ""

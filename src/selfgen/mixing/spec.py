"""What the step of training rows reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from selfgen.core.spec import Checked, Steps
from selfgen.core.types import Count, CountOrZero, Seed, one_of
from selfgen.data.prompts import PromptSpec

Method = TypeVar("Method")


@dataclass(frozen=True, kw_only=True)
class RowsSpec(Checked, Generic[Method]):
    """How records and passes become training rows, in training order.

    ``rows``: the slice of training records. ``method``: a ``mixing.mix.Mix``, the keys of the
    method that decide its rows. ``loss``: of the ``answers``, or of the prompts too
    (``all``). ``steps``: a part of the stage's steps (a round).
    """

    seed: Seed
    rows: tuple[CountOrZero, Count]
    epochs: Count
    batch_size: Count
    prompt: PromptSpec
    method: Method
    loss: Annotated[str, one_of("answers", "all")] = "answers"
    steps: Steps | None = None

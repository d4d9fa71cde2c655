"""What the step of training rows reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from selfgen.core.spec import Steps
from selfgen.data.prompts import PromptSpec

Method = TypeVar("Method")


@dataclass(frozen=True, kw_only=True)
class RowsSpec(Generic[Method]):
    """How records and passes become training rows, in training order.

    ``rows``: the slice of training records. ``method``: a ``mixing.mix.Mix``, the keys of the
    method that decide its rows. ``loss``: of the ``answers``, or of the prompts too
    (``all``). ``steps``: a part of the stage's steps (a round).
    """

    seed: int
    rows: tuple[int, int]
    epochs: int
    batch_size: int
    prompt: PromptSpec
    method: Method
    loss: str = "answers"
    steps: Steps | None = None

"""What the step of training rows reads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Generic, TypeVar

from selfgen.core.spec import Checked, Steps
from selfgen.core.types import Count, CountOrZero, Seed, one_of
from selfgen.data.prompts import PromptSpec

Method = TypeVar("Method")


@dataclass(frozen=True, kw_only=True)
class Epochs(Checked):
    """So many epochs of the slice ``rows`` of training records, ``batch_size`` of them an
    optimiser step."""

    rows: tuple[CountOrZero, Count]
    epochs: Count
    batch_size: Count


@dataclass(frozen=True, kw_only=True)
class RowsSpec(Checked, Generic[Method]):
    """How records and passes become training rows, in training order.

    ``rows``: the slice of training records; ``then``: what follows behind its epochs, as in a
    stage that joins others. ``method``: a ``mixing.mix.Mix``, the keys of the
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
    then: tuple[Epochs, ...] = ()

    def parts(self) -> list[RowsSpec[Method]]:
        """One spec for each slice of records, in their order."""
        alone = replace(self, then=())
        return [alone, *(replace(alone, **vars(part)) for part in self.then)]

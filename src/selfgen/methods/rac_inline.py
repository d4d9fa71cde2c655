"""RAC in line: a draft is continued rightly behind its first error (our reading)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from selfgen.core.types import Share
from selfgen.generation.spec import Drawing, Sampled
from selfgen.methods.base import Rounds
from selfgen.mixing import rows
from selfgen.mixing.mix import Mix, Mixing
from selfgen.mixing.realigned import Oracle
from selfgen.mixing.rows import Fields
from selfgen.tasks import checker


class _Keys(Mix):
    mix: Literal["rac-inline"] = Field(
        description="The own draft up to its first wrong step, then right steps; that step is"
        " read and not trained on. The task's data set has a checker."
    )
    correction_share: Share = Field(
        default=0.5, description="Share of the examples whose draft is read."
    )


class RacInlineRows(_Keys):
    """A draft that goes on rightly behind its first error, or a plain row, also where the
    draft has none. ``dataset``: whose checker says what is right."""

    dataset: str

    def make(self, mixing: Mixing, i: int, epoch: int) -> list[Fields]:
        spec, example = mixing.spec, mixing.examples[i]
        plain = rows.plain(example.prompt_ids, example.answer_ids)
        if not rows.is_correction(spec.seed, example.id, epoch, self.correction_share):
            return [plain]
        draft = mixing.own(i, epoch)
        oracle = Oracle(mixing.tokenizer, spec.prompt, checker(self.dataset), example)
        continued = oracle.continued(draft["text"], bool(draft["ended"]))
        return [rows.asked(example.prompt_ids, *continued) if continued else plain]


class RacInline(_Keys, Sampled, Rounds):
    """Reference-Answer-based Correction within the answer: learn to go on rightly behind an
    error of one's own."""

    mixed_by = RacInlineRows
    takes_longer = True
    checked = True

    def mixed(self, metric: str, column: str, dataset: str) -> RacInlineRows:
        return RacInlineRows(
            mix="rac-inline", correction_share=self.correction_share, dataset=dataset
        )

    def drawing(self, number: int) -> Drawing:
        return Drawing(kind="free", sampling=self.sampling)


METHOD = RacInline

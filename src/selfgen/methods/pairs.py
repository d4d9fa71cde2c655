"""Direct preference optimisation on answers that others have written and judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from selfgen.data import preferences
from selfgen.methods.base import Cost, Trained
from selfgen.mixing import rows
from selfgen.mixing.mix import Mix, Mixing, Records
from selfgen.mixing.rows import Fields
from selfgen.mixing.spec import RowsSpec
from selfgen.training.spec import Preference

if TYPE_CHECKING:
    from selfgen.runtime.job import Job


class PairRows(Mix):
    """The chosen answer over the rejected one, as a file has them; prompt and answer have
    at most as many tokens together as an answer may have."""

    mix: Literal["pairs"] = Field(description="Pairs: as a file has them.")

    def read(self, spec: RowsSpec[Any], job: Job) -> tuple[Records, Records]:
        records = preferences.read(job.input("pairs"), spec.rows[1])
        passes = [
            {"id": record["id"], "epoch": epoch, "text": record["rejected"]}
            for record in records
            for epoch in range(spec.epochs)
        ]
        return records, passes

    def make(self, mixing: Mixing, i: int, epoch: int) -> list[Fields]:
        example = mixing.examples[i]
        room = mixing.spec.prompt.max_answer_tokens - len(example.prompt_ids)
        rejected = mixing.tokens(mixing.own(i, epoch)["text"])
        return rows.pair(example.prompt_ids, example.answer_ids[:room], rejected[:room])


class Pairs(PairRows, Preference, Trained):
    """Direct preference optimisation on answers that others have written and judged."""

    preferences: str = Field(description="Which pairs, by their name in `preferences`.")

    mixed_by = PairRows
    loss = "pairs"
    in_memory = False

    def pairs_from(self) -> str:
        return self.preferences

    def cost(self, prompt: int, answer: int) -> Cost:
        # Pairs are read once before training, by the reference model.
        return Cost(2 * answer, before=2 * answer)


METHOD = Pairs

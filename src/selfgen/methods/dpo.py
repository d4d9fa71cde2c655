"""Direct preference optimisation (Rafailov et al. 2023) on graded own answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from selfgen.core import ties
from selfgen.core.types import CountFromTwo
from selfgen.generation.spec import Drawing, Sampled
from selfgen.methods.base import Cost, Trained
from selfgen.mixing import rows
from selfgen.mixing.mix import Mix, Mixing, Records
from selfgen.mixing.rows import Fields
from selfgen.training.spec import Preference


class Candidates(Mix):
    """Keys of the method that decide its pass as well."""

    mix: Literal["dpo"] = Field(
        description="Pairs: the best of some own answers over the worst, as the task's"
        " main metric grades them; examples whose grades all lie within 0.0001 are left out."
    )
    candidates: CountFromTwo = Field(
        default=4, description="Own answers of an example and epoch."
    )


class DpoRows(Candidates):
    """The best own answer over the worst (of equal ones the first best, the last worst); no
    pair where all have the same grade. ``metric`` and its ``column`` grade them."""

    metric: str = ""
    column: str = ""

    empty = "all candidates of every example have the same grade"

    @property
    def answers_each(self) -> int:
        return self.candidates

    def make(self, mixing: Mixing, i: int, epoch: int) -> list[Fields]:
        example, k = mixing.examples[i], self.candidates
        epochs = range(epoch * k, (epoch + 1) * k)
        grades = {e: mixing.grades[example.id, e] for e in epochs}
        highest, lowest = max(grades.values()), min(grades.values())
        if ties.equal(highest, lowest):
            return []
        best = next(e for e in epochs if ties.equal(grades[e], highest))
        worst = next(e for e in reversed(epochs) if ties.equal(grades[e], lowest))
        chosen, rejected = (
            mixing.tokens(mixing.own(i, e)["text"]) for e in (best, worst)
        )
        return rows.pair(example.prompt_ids, chosen, rejected)

    def more(self, records: Records, passes: Records, root: Path) -> dict[str, Any]:
        from selfgen.evaluation.metrics import metric

        scorer = metric(self.metric, root)
        by_id = {record["id"]: record for record in records}
        grades = {
            (row["id"], row["epoch"]): scorer.score(row["text"], by_id[row["id"]])
            for row in passes
        }
        return {"grades": {at: grade[self.column] for at, grade in grades.items()}}


class Dpo(Candidates, Preference, Sampled, Trained):
    """Direct preference optimisation (Rafailov et al. 2023) on graded own answers."""

    mixed_by = DpoRows
    loss = "pairs"
    graded = True
    in_memory = False

    def mixed(self, metric: str, column: str, dataset: str) -> DpoRows:
        return DpoRows(
            mix="dpo", candidates=self.candidates, metric=metric, column=column
        )

    def drawing(self, number: int) -> Drawing:
        return Drawing(kind="free", sampling=self.sampling, candidates=self.candidates)

    def cost(self, prompt: int, answer: int) -> Cost:
        # Pairs are read once before training, by the reference model.
        return Cost(2 * (prompt + answer), before=2 * (prompt + answer))


METHOD = Dpo

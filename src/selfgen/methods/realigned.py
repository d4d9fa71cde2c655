"""BASH with labels that fit what is really read (our reading: docs/method.md)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from selfgen.methods.bash import Interleaved
from selfgen.mixing import rows
from selfgen.mixing.mix import Mix, Mixing
from selfgen.mixing.realigned import Oracle
from selfgen.mixing.rows import Fields
from selfgen.tasks import checker


class _Keys(Mix):
    mix: Literal["realigned"] = Field(
        description="As `bash`, but each label is a token of what is right after the tokens"
        " that are read; none where they have begun what cannot be right. The task's data set"
        " has a checker."
    )


class RealignedRows(_Keys):
    """The pass's tokens as context, what is right after them as labels. ``dataset``: whose
    checker says what is."""

    dataset: str

    empty = "no token that is right can follow those that are read"

    def make(self, mixing: Mixing, i: int, epoch: int) -> list[Fields]:
        example, tokens = mixing.examples[i], mixing.own(i, epoch)["tokens"]
        oracle = Oracle(
            mixing.tokenizer, mixing.spec.prompt, checker(self.dataset), example
        )
        return [rows.asked(example.prompt_ids, tokens, oracle.labels(tokens))]


class Realigned(_Keys, Interleaved):
    """Batch-Scheduled Sampling with realigned labels: a dynamic oracle's, not the
    reference's."""

    mixed_by = RealignedRows
    mixes_context = False  # its labels are not those of a control
    checked = True

    def mixed(self, metric: str, column: str, dataset: str) -> RealignedRows:
        return RealignedRows(mix="realigned", dataset=dataset)


METHOD = Realigned

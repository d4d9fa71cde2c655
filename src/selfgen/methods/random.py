"""A control for BASH: other wrong tokens at exactly the same positions."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from itertools import accumulate
from typing import Literal

from pydantic import Field

from selfgen.core.errors import UserError
from selfgen.data.turns import turns
from selfgen.methods.base import Method, Trained, comparable
from selfgen.mixing import rows
from selfgen.mixing.mix import Mix, Mixing
from selfgen.mixing.rows import Fields


class RandomRows(Mix):
    """Where the pass differs from the reference, another wrong token: one of the answers'
    unigram distribution without the reference's token. Context is corrupted at exactly the
    same positions, only not by what the model itself would say."""

    mix: Literal["random"] = Field(
        description="Where the rows of `control_for` differ from the reference, a token of"
        " the answers' unigram distribution."
    )

    def make(self, mixing: Mixing, i: int, epoch: int) -> list[Fields]:
        example, tokens = mixing.examples[i], mixing.own(i, epoch)["tokens"]
        vocabulary, cumulated = mixing.once(unigrams)
        mixed = list(example.answer_ids)
        for t, (drawn, reference) in enumerate(zip(tokens, mixed, strict=True)):
            attempt = 0
            # Drawn again until it differs, which leaves the other tokens' shares as they are.
            while drawn != reference and mixed[t] == reference:
                u = mixing.draw("random", i, epoch, t, attempt) * cumulated[-1]
                mixed[t] = vocabulary[bisect_right(cumulated, u)]
                attempt += 1
        return [rows.bash(example.prompt_ids, example.answer_ids, mixed)]


def unigrams(mixing: Mixing) -> tuple[list[int], list[int]]:
    """Tokens of the answers, but special ones, and their cumulated counts."""
    special = turns(mixing.tokenizer).special
    counts = Counter(
        token
        for example in mixing.examples
        for token in example.answer_ids
        if token not in special
    )
    tokens = sorted(counts)
    if len(tokens) < 2:
        raise UserError("random: the answers have fewer than two different tokens")
    return tokens, list(accumulate(counts[token] for token in tokens))


class Random(RandomRows, Trained):
    """A control for BASH: other wrong tokens at exactly the same positions."""

    control_for: str = Field(
        description="A `bash` method with the same parent, stage and rows."
    )

    mixed_by = RandomRows
    whole_rows = True

    def others(self) -> dict[str, str]:
        return super().others() | {"control_for": self.control_for}

    def check(self, methods: Mapping[str, Method]) -> None:
        comparable(self, "control_for", self.control_for, methods, mixes_context=True)

    def reads_pass_of(self) -> str:
        return self.control_for


METHOD = Random

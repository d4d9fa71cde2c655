"""A control for BASH: other wrong tokens at exactly the same positions."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from itertools import accumulate, count
from typing import Literal

from pydantic import Field

from selfgen.core.errors import UserError
from selfgen.data.turns import turns
from selfgen.methods.base import Method, Trained, comparable
from selfgen.mixing import rows
from selfgen.mixing.mix import Mix, Mixing
from selfgen.mixing.rows import Fields


class RandomRows(Mix):
    """Where the pass differs from the reference, another wrong token. Context is corrupted
    at exactly the same positions, only not by what the model itself would say."""

    mix: Literal["random"] = Field(
        description="Another token where the rows of `control_for` differ from the"
        " reference."
    )
    tokens: Literal["unigram", "mask"] = Field(
        default="unigram",
        description="What stands there. `unigram`: a token drawn from the answers' unigram"
        " distribution without the reference's; `mask`: the same token everywhere, the"
        " tokenizer's mask token, else its unk token, else its pad token (Masked Thought,"
        " Chen et al. 2024).",
    )

    def make(self, mixing: Mixing, i: int, epoch: int) -> list[Fields]:
        example, own = mixing.examples[i], mixing.own(i, epoch)["tokens"]
        mixed = [
            reference if drawn == reference else self._other(mixing, i, epoch, t)
            for t, (drawn, reference) in enumerate(
                zip(own, example.answer_ids, strict=True)
            )
        ]
        return [rows.bash(example.prompt_ids, example.answer_ids, mixed)]

    def _other(self, mixing: Mixing, i: int, epoch: int, t: int) -> int:
        if self.tokens == "mask":
            return mixing.once(mask)
        vocabulary, cumulated = mixing.once(unigrams)
        # Drawn again until it differs, which leaves the other tokens' shares as they are.
        for attempt in count():
            u = mixing.draw("random", i, epoch, t, attempt) * cumulated[-1]
            token = vocabulary[bisect_right(cumulated, u)]
            if token != mixing.examples[i].answer_ids[t]:
                break
        return token


def mask(mixing: Mixing) -> int:
    """The first of the tokenizer's mask, unk and pad tokens that it has and that ends no
    turn.

    Raises UserError: there is none.
    """
    tokenizer = mixing.tokenizer
    ends = turns(tokenizer).stops(tokenizer.eos_token_id)
    named = {
        name: getattr(tokenizer, f"{name}_token_id") for name in ("mask", "unk", "pad")
    }
    for token in named.values():
        if token is not None and token not in ends:
            return token
    found = ", ".join(f"{name} {token}" for name, token in named.items())
    raise UserError(
        f"random: tokens: mask needs a mask, unk or pad token that ends no turn; the"
        f" tokenizer has {found}, and a turn ends with {sorted(ends)}; allowed here:"
        " tokens: unigram"
    )


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
        for key, only in (("loss_on", "all"), ("labels", "reference")):
            value = getattr(methods[self.control_for], key, only)
            if value != only:
                raise ValueError(
                    f"control_for: found {self.control_for!r} with {key} {value!r},"
                    f" allowed: one with {key} {only!r}"
                )

    def reads_pass_of(self) -> str:
        return self.control_for


METHOD = Random

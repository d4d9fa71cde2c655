"""How each method makes the training row, or the pair of rows, of one example.

A mix is a function of ``(mixing, i, epoch)``: example ``i`` in ``epoch``. A method of your
own is one more such function (docs/own-method.md).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

from selfgen.core.errors import UserError
from selfgen.core.hashing import unit
from selfgen.data.examples import Example
from selfgen.data.prompts import answer_ids, correction_ids
from selfgen.mixing import rows
from selfgen.mixing.rows import Fields
from selfgen.mixing.spec import RowsSpec


@dataclass(frozen=True)
class Mixing:
    """What a mix may read. ``passed``: rows of the pass by (id, epoch); ``grades``
    likewise."""

    spec: RowsSpec
    tokenizer: Any
    examples: Sequence[Example]
    passed: Mapping[tuple[str, int], Mapping[str, Any]]
    grades: Mapping[tuple[str, int], float]

    def own(self, i: int, epoch: int) -> Mapping[str, Any]:
        """The row that the pass made of an example: its ``tokens``, or its ``text``."""
        return self.passed[self.examples[i].id, epoch]

    def draw(self, purpose: str, i: int, epoch: int, *place: int) -> float:
        """A number in [0, 1) that depends on the seed and on where it is used."""
        address = "/".join(map(str, (purpose, self.spec.seed, epoch, *place)))
        return unit(self.examples[i].id, address)

    @cached_property
    def unigrams(self) -> tuple[list[int], list[int]]:
        """Tokens of the answers, but special ones, and their cumulated counts."""
        special = set(self.tokenizer.all_special_ids)
        counts = Counter(
            token
            for example in self.examples
            for token in example.answer_ids
            if token not in special
        )
        tokens = sorted(counts)
        if len(tokens) < 2:
            raise UserError("random: the answers have fewer than two different tokens")
        return tokens, list(accumulate(counts[token] for token in tokens))

    @cached_property
    def neighbours(self) -> list[int]:
        """For each example another one: the next in the order of a hash of ids."""
        order = sorted(
            range(len(self.examples)), key=lambda i: self.draw("another", i, 0)
        )
        following = dict(zip(order, order[1:] + order[:1], strict=True))
        return [following[i] for i in range(len(self.examples))]


Mix = Callable[[Mixing, int, int], Sequence[Fields]]


def plain(mixing: Mixing, i: int, epoch: int) -> list[Fields]:
    """Teacher forcing."""
    example = mixing.examples[i]
    return [rows.plain(example.prompt_ids, example.answer_ids)]


def bash(mixing: Mixing, i: int, epoch: int) -> list[Fields]:
    """The pass's tokens as context, the reference as labels."""
    example, tokens = mixing.examples[i], mixing.own(i, epoch)["tokens"]
    return [rows.bash(example.prompt_ids, example.answer_ids, tokens)]


def random(mixing: Mixing, i: int, epoch: int) -> list[Fields]:
    """Where BASH's context differs from the reference, another wrong token: one of the
    answers' unigram distribution without the reference's token. Context is corrupted at
    exactly the same positions, only not by what the model itself would say."""
    example, tokens = mixing.examples[i], mixing.own(i, epoch)["tokens"]
    vocabulary, cumulated = mixing.unigrams
    mixed = list(example.answer_ids)
    for t, (drawn, reference) in enumerate(zip(tokens, mixed, strict=True)):
        attempt = 0
        # Drawn again until it differs, which leaves the other tokens' shares as they are.
        while drawn != reference and mixed[t] == reference:
            u = mixing.draw("random", i, epoch, t, attempt) * cumulated[-1]
            mixed[t] = vocabulary[bisect_right(cumulated, u)]
            attempt += 1
    return [rows.bash(example.prompt_ids, example.answer_ids, mixed)]


def rac(mixing: Mixing, i: int, epoch: int) -> list[Fields]:
    """A correction row, or a plain one."""
    spec, example = mixing.spec, mixing.examples[i]
    if not rows.is_correction(spec.seed, example.id, epoch, spec.correction_share):
        return plain(mixing, i, epoch)
    source = mixing.neighbours[i] if spec.drafts == "another" else i
    draft = mixing.passed[mixing.examples[source].id, epoch]["text"]
    if spec.draft_length == "random":
        draft = cut(draft, mixing.draw("cut", i, epoch))
    context = correction_ids(mixing.tokenizer, spec.prompt, example.prompt, draft)
    return [rows.rac(context, example.answer_ids)]


def cut(draft: str, u: float) -> str:
    """The first words of a draft, 1 to all of them with equal probability; ``u`` in
    [0, 1) decides. A draft without words stays as it is."""
    words = draft.split(" ")
    return " ".join(words[: 1 + int(u * len(words))])


def spin(mixing: Mixing, i: int, epoch: int) -> list[Fields]:
    """The reference over the own answer (SPIN)."""
    example = mixing.examples[i]
    own = _answer(mixing, mixing.own(i, epoch)["text"])
    return _pair(example, example.answer_ids, own)


def dpo(mixing: Mixing, i: int, epoch: int) -> list[Fields]:
    """The best own answer over the worst (of equal ones the first best, the last worst);
    no pair where all have the same grade."""
    example, k = mixing.examples[i], mixing.spec.candidates
    epochs = range(epoch * k, (epoch + 1) * k)
    by_grade = sorted(epochs, key=lambda e: -mixing.grades[example.id, e])
    best, worst = by_grade[0], by_grade[-1]
    if mixing.grades[example.id, best] == mixing.grades[example.id, worst]:
        return []
    chosen, rejected = (
        _answer(mixing, mixing.own(i, e)["text"]) for e in (best, worst)
    )
    return _pair(example, chosen, rejected)


def pairs(mixing: Mixing, i: int, epoch: int) -> list[Fields]:
    """The chosen answer over the rejected one, as a file has them; prompt and answer have
    at most ``max_tokens`` together."""
    example = mixing.examples[i]
    room = mixing.spec.max_tokens - len(example.prompt_ids)
    rejected = _answer(mixing, mixing.own(i, epoch)["text"])
    return _pair(example, example.answer_ids[:room], rejected[:room])


def _answer(mixing: Mixing, text: str) -> list[int]:
    return answer_ids(mixing.tokenizer, mixing.spec.prompt, text)


def _pair(example: Example, chosen: list[int], rejected: list[int]) -> list[Fields]:
    return [
        rows.plain(example.prompt_ids, chosen) | {"role": "chosen"},
        rows.plain(example.prompt_ids, rejected) | {"role": "rejected"},
    ]


MIXES: dict[str, Mix] = {
    "plain": plain,
    "two-pass": plain,
    "bash": bash,
    "random": random,
    "rac": rac,
    "spin": spin,
    "dpo": dpo,
    "pairs": pairs,
}
READS = {mix: mix not in ("plain", "two-pass") for mix in MIXES}
"""Whether a mix reads a pass."""

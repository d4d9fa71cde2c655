"""Training rows of whole dialogues, packed into blocks of equal length.

As ``ConstantLengthDataset`` of TRL 0.9.6 (trl/trainer/utils.py) packs them, with which
alignment-handbook v0.3.0 trains (scripts/run_sft.py): EOS after every dialogue, also where
the template has just closed its last turn; cut without regard to where a dialogue ends, so
that a token attends to all that stands before it in its block; every token is a label. TRL
cuts some seven million characters at a time and drops what is left of each; here one rest
an epoch is dropped. It shuffles dialogues and blocks; here the order of the dialogues is a
hash of their numbers.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selfgen.core.errors import UserError
from selfgen.core.hashing import unit
from selfgen.core.spec import Checked, at_least
from selfgen.core.types import Count, Seed


@dataclass(frozen=True)
class BlocksSpec(Checked):
    """How so many dialogues (``rows``) become blocks of ``block_tokens``, ``batch_size`` of
    them an optimiser step."""

    rows: Count
    block_tokens: Count
    seed: Seed
    epochs: Count
    batch_size: Count


def pack(
    dialogues: Iterable[Sequence[int]], end: int, tokens: int
) -> Iterator[list[int]]:
    """Blocks of ``tokens`` ids of dialogues that stand one after the other, each closed by
    ``end``; what is left of the last is dropped.

    Raises UserError: there is not one block.
    """
    at_least("block_tokens", tokens, 1)
    left, full = array("i"), False
    for dialogue in dialogues:
        left.extend(dialogue)
        left.append(end)
        cut = len(left) - len(left) % tokens
        for start in range(0, cut, tokens):
            full = True
            yield left[start : start + tokens].tolist()
        del left[:cut]
    if not full:
        raise UserError(
            f"dialogues: found {len(left)} tokens, needed is a block of {tokens}"
        )


def build(
    dialogues: Mapping[str, Sequence[int]], spec: BlocksSpec, end: int
) -> Iterator[dict[str, Any]]:
    """Rows ``{step, id, epoch, input_ids, labels, attention_mask}`` in training order, a
    block each. The last step of an epoch may have fewer."""
    first = 0
    for epoch in range(spec.epochs):
        purpose = f"order/{spec.seed}/{epoch}"
        order = sorted(dialogues, key=lambda name: (unit(name, purpose), name))
        packed = pack((dialogues[name] for name in order), end, spec.block_tokens)
        step = first
        for number, block in enumerate(packed):
            step = first + number // spec.batch_size
            yield {
                "step": step,
                "id": f"block-{number}",
                "epoch": epoch,
                "input_ids": block,
                "labels": block,
                "attention_mask": [1] * len(block),
            }
        first = step + 1

"""Training rows: what the model reads, and what it is asked to say.

``labels`` are unshifted, as in transformers: the state at position p - 1 predicts
``labels[p]``. In every mix the labels are the reference answer, of which BASH may leave some
out. BASH changes what is read: a drawn token replaces ``input_ids[p]``, never
``labels[p]``.

Source: our readings of Algorithms 1 and 2 of arXiv 2410.14655, docs/method.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any, Literal

from selfgen.core.errors import UserError
from selfgen.core.hashing import unit

IGNORE = -100
"""A label that is not trained on, as in transformers."""

LossOn = Literal["all", "behind-changed", "kept"]
"""Labels of a mixed answer s against its reference y that are trained on: all; y_t where
some s_u with u < t differs from y_u; y_t where s_t itself equals y_t."""

Labels = Literal["reference", "aligned"]
"""What is asked of a mixed answer: the reference's token at the same position, or the one
behind what has just been read."""

Fields = dict[str, Any]
"""Lists ``input_ids``, ``labels`` and ``attention_mask``; of a pair also its ``role``."""


def plain(prompt: Sequence[int], answer: Sequence[int]) -> Fields:
    """Teacher forcing: the prompt, then the reference answer, labelled on the answer."""
    return _row([*prompt, *answer], len(prompt), answer)


def bash(
    prompt: Sequence[int],
    answer: Sequence[int],
    mixed: Sequence[int],
    loss_on: LossOn = "all",
    labels: Labels = "reference",
) -> Fields:
    """The mixed answer as context, the reference as labels (Algorithm 1, our reading).

    ``mixed``: the pass's tokens, as long as ``answer`` and equal to it where not drawn.
    ``loss_on``: which of the labels are trained on; ``labels``: whether they are aligned.
    """
    if not isinstance(mixed, Sequence) or len(mixed) != len(answer):
        raise UserError(
            f"pass: found {mixed!r:.40} as the mixed answer, needed are {len(answer)} tokens,"
            " as many as the reference has"
        )
    due = aligned(answer, mixed) if labels == "aligned" else answer
    kept = [
        label if asked else IGNORE
        for label, asked in zip(due, _asked(answer, mixed, loss_on), strict=True)
    ]
    return _row([*prompt, *mixed], len(prompt), kept)


def aligned(answer: Sequence[int], mixed: Sequence[int]) -> list[int]:
    """For each position of a mixed answer the token that the reference has behind the
    counterpart of what was read last; ``IGNORE`` behind a token without one.

    Counterparts are the matching blocks of the two sequences (``difflib``: the longest block,
    then the longest on each side of it), so a token that came too early or too late is
    followed by what follows it in the reference, at another position.
    """
    behind = {-1: 0}
    matcher = SequenceMatcher(None, mixed, answer, autojunk=False)
    for block in matcher.get_matching_blocks():
        behind |= {block.a + i: block.b + i + 1 for i in range(block.size)}
    found = (behind.get(t - 1, len(answer)) for t in range(len(mixed)))
    return [answer[j] if j < len(answer) else IGNORE for j in found]


def _asked(answer: Sequence[int], mixed: Sequence[int], loss_on: LossOn) -> list[bool]:
    changed = [token != label for token, label in zip(mixed, answer, strict=True)]
    if loss_on == "kept":
        return [not one for one in changed]
    if loss_on == "behind-changed":
        return [any(changed[:t]) for t in range(len(answer))]
    return [True] * len(answer)


def asked(prompt: Sequence[int], read: Sequence[int], labels: Sequence[int]) -> Fields:
    """An answer as it is read, and what is asked at each of its positions."""
    return _row([*prompt, *read], len(prompt), labels)


def rac(correction: Sequence[int], answer: Sequence[int]) -> Fields:
    """Prompt, draft and correction turn as context, labelled on the reference only
    (Algorithm 2, our reading). ``correction``: ids of everything before the answer."""
    return _row([*correction, *answer], len(correction), answer)


def pair(
    prompt: Sequence[int], chosen: Sequence[int], rejected: Sequence[int]
) -> list[Fields]:
    """The two rows of a pair: a better answer to a prompt and a worse one."""
    return [
        plain(prompt, chosen) | {"role": "chosen"},
        plain(prompt, rejected) | {"role": "rejected"},
    ]


def is_correction(seed: int, example: str, epoch: int, share: float) -> bool:
    """Whether this example is a correction row in this epoch: a draw at its address."""
    return unit(example, f"correction/{seed}/{epoch}") < share


def _row(ids: list[int], context: int, labels: Sequence[int]) -> Fields:
    return {
        "input_ids": ids,
        "labels": [IGNORE] * context + list(labels),
        "attention_mask": [1] * len(ids),
    }

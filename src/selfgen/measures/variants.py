"""The reference after prompts that are written otherwise: where another form suits a model
better than that which it is asked in, it was trained on another one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from selfgen.data.examples import Example
from selfgen.data.turns import text_ids

if TYPE_CHECKING:
    from selfgen.measures.reading import Instrument

NAMES = {
    "with_bos": "with a BOS before it",
    "without_bos": "without its BOS",
    "bare": "without the chat template",
}
"""Forms of a prompt, in words."""


def read(
    own: Instrument, examples: Sequence[Example], records: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """``nll_NAME`` of each form that differs from the prompt as it is asked, else None: the
    negative log-likelihood of the reference without its end, in nats."""
    found: dict[str, dict[str, Any]] = {e.id: {} for e in examples}
    for name in NAMES:
        made = [
            replace(e, prompt_ids=ids, answer_ids=e.answer_ids[:-1])
            for e, record in zip(examples, records, strict=True)
            if len(e.answer_ids) > 1 and (ids := _form(own, e, record, name))
        ]
        costs = {
            e.id: math.fsum(r.nll) for e, r in zip(made, own.read(made), strict=True)
        }
        for e in examples:
            found[e.id][f"nll_{name}"] = costs.get(e.id)
    return found


def _form(
    own: Instrument, example: Example, record: Mapping[str, Any], name: str
) -> list[int]:
    """The ids of another form; none where it is no other, or nothing is left."""
    bos = own.tokenizer.bos_token_id
    ids = list(example.prompt_ids)
    if name == "bare":
        asked = own.spec.prompt.template.replace("{prompt}", record["prompt"])
        bare = text_ids(own.tokenizer, asked + "\n")
        if len(bare) > own.spec.prompt.max_prompt_tokens:
            return []  # it was cut as it is asked
        return [*([] if bos is None else [bos]), *bare]
    if bos is None:
        return []
    if name == "with_bos":  # also one more: rows may have been made with two
        return [bos, *ids] if ids[:2] != [bos, bos] else []
    return ids[1:] if ids[:1] == [bos] else []

"""Training records as token ids: what passes fill and mixes read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from selfgen.core.errors import naming
from selfgen.data.prompts import PromptSpec, answer_ids, prompt_ids
from selfgen.data.records import checked_records, history_of
from selfgen.data.turns import Messages

KEYS = ("id", "prompt", "reference")
"""What a record must have."""


@dataclass(frozen=True)
class Example:
    """One record: its prompt as text and as ids, its closed answer as ids, and the turns
    before its prompt."""

    id: str
    prompt: str
    prompt_ids: list[int]
    answer_ids: list[int]
    history: Messages = ()

    def __len__(self) -> int:
        """Tokens of the plain row."""
        return len(self.prompt_ids) + len(self.answer_ids)


def examples_of(
    records: Iterable[dict[str, Any]], prompt: PromptSpec, tokenizer: Any
) -> list[Example]:
    """Records as token ids, in their order.

    Raises UserError, which names the record: it lacks a key, or its texts are none.
    """
    examples = []
    for record in checked_records(records, KEYS):
        history = history_of(record)
        with naming(f"record {record['id']}"):
            ids = (
                prompt_ids(tokenizer, prompt, record["prompt"], history),
                answer_ids(tokenizer, prompt, record["reference"]),
            )
        examples.append(Example(record["id"], record["prompt"], *ids, history))
    return examples

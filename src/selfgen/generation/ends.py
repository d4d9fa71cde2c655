"""Which tokens end an answer of a model, and which it never draws."""

from __future__ import annotations

from typing import Any

from selfgen.data.turns import turns
from selfgen.models.reader import base_of, vocabulary_of


def stops(model: Any, tokenizer: Any) -> frozenset[int]:
    """What its chat template closes a turn with, and what its ``generation_config`` names."""
    found = getattr(base_of(model), "generation_config", None)
    return turns(tokenizer).stops(found.eos_token_id if found else None)


def banned(
    model: Any, tokenizer: Any, *, but: frozenset[int] = frozenset()
) -> list[int]:
    """Control tokens, ``but`` some, and rows of its head that have no token."""
    # One that vLLM serves has no weights here, and says it itself.
    size = getattr(model, "vocabulary", None) or vocabulary_of(base_of(model))
    return turns(tokenizer).banned(size, but)


def named(stops: frozenset[int], tokenizer: Any) -> str:
    """Tokens as they are written, for people."""
    return " ".join(map(str, tokenizer.convert_ids_to_tokens(sorted(stops))))

"""A tiny random model of llama's kind, whose tokens are bytes, in a folder."""

from __future__ import annotations

from pathlib import Path

from selfgen.data.chat_templates import CHATML
from selfgen.models import base
from selfgen.models.base import ModelSpec

SHAPE = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def tiny(out: Path) -> Path:
    """Made in ``out``, which is returned."""
    base.prepare(ModelSpec("random", None, CHATML, "llama", SHAPE, 0), None, out)
    return out

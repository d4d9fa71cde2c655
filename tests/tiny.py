"""A tiny random model, whose tokens are bytes, in a folder; and rows that it can be given."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

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


def tiny(out: Path, kind: str = "llama", **shape: Any) -> Path:
    """Made in ``out``, which is returned; ``shape``: more keys of its configuration."""
    base.prepare(ModelSpec("random", None, CHATML, kind, SHAPE | shape, 0), None, out)
    return out


WORDS = "red blue green stone river cloud lamp door table chair horse train"


def tickets(draws: int) -> list[dict[str, str]]:
    """Rows of a question and its answer, no question twice."""
    stream = random.Random(0)
    made = {tuple(stream.sample(WORDS.split(), 3)) for _ in range(draws)}
    return [
        {"question": f"Which of {a}, {b}, {c}?", "answer": f"{b}, as {a}."}
        for a, b, c in sorted(made)
    ]

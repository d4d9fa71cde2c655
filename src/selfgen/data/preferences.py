"""Pairs of answers that were judged elsewhere, from a file in JSON lines or Parquet.

The columns are those of ``ultrafeedback_binarized``: ``prompt``, ``chosen``, ``rejected``,
the latter two as texts or as lists of messages whose last one is the answer.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from selfgen.core.errors import UserError
from selfgen.core.hashing import unit
from selfgen.data import tables

KEYS = ("prompt", "chosen", "rejected")


def read(path: Path, rows: int) -> list[dict[str, Any]]:
    """``rows`` pairs ``{id, split, prompt, reference, rejected}``, where ``reference`` is the
    chosen answer; those of the lowest hash, a pair that stands twice once.

    Raises UserError: no such file, a pair that lacks a text, or fewer pairs.
    """
    found = {}
    for where, row in tables.read(path):
        texts = [text for key in KEYS if (text := _text(row.get(key))) is not None]
        if len(texts) < len(KEYS):
            raise UserError(
                f"{where}: needed are {', '.join(KEYS)}, each a text or"
                " messages that end in one"
            )
        digest = hashlib.sha256("\x00".join(texts).encode()).hexdigest()[:16]
        found[digest] = dict(
            zip(("prompt", "reference", "rejected"), texts, strict=True)
        )
    if len(found) < rows:
        raise UserError(f"{path}: found {len(found)} different pairs, asked {rows}")
    chosen = sorted(found, key=lambda name: (unit(name, "pick"), name))[:rows]
    return [{"id": name, "split": "train", **found[name]} for name in chosen]


def _text(value: Any) -> str | None:
    if isinstance(value, list) and value and isinstance(value[-1], dict):
        value = value[-1].get("content")
    return value if isinstance(value, str) else None

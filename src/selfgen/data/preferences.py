"""Pairs of answers that were judged elsewhere, from a file in JSON lines or Parquet.

The columns are those of ``ultrafeedback_binarized``: ``prompt``, ``chosen``, ``rejected``,
the latter two as texts or as lists of messages whose last one is the answer.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from selfgen.data.text import unit
from selfgen.specs import UserError

KEYS = ("prompt", "chosen", "rejected")


def read(path: Path, rows: int) -> list[dict[str, Any]]:
    """``rows`` pairs ``{id, split, prompt, reference, rejected}``, where ``reference`` is the
    chosen answer; those of the lowest hash, a pair that stands twice once.

    Raises UserError: no such file, a pair that lacks a text, or fewer pairs.
    """
    found = {}
    for number, row in enumerate(_rows(path), 1):
        texts = [_text(row.get(key)) for key in KEYS]
        if None in texts:
            raise UserError(
                f"{path}: row {number}: needed are {', '.join(KEYS)}, each a text or"
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


def _rows(path: Path) -> list[Any]:
    import pyarrow
    import pyarrow.parquet

    try:
        if path.suffix == ".parquet":
            return pyarrow.parquet.read_table(path, columns=list(KEYS)).to_pylist()
        with path.open(encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise UserError(f"{path}: no pairs can be read: {error}") from None
    return [row if isinstance(row, dict) else {} for row in rows]


def _text(value: Any) -> str | None:
    if isinstance(value, list) and value and isinstance(value[-1], dict):
        value = value[-1].get("content")
    return value if isinstance(value, str) else None

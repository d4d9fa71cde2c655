"""``extraction``: the symbols of a list that are to be kept, made by rule."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfgen.data.extraction import MEANINGS, extraction
from selfgen.data.procedural import made_by_rule, rows
from selfgen.data.spec import RecordsSpec


def load(_: dict[str, Path], spec: RecordsSpec) -> Iterator[dict[str, Any]]:
    """Its rows."""
    return rows(spec, lambda stream, _: extraction(stream))


DATASET = made_by_rule(load, MEANINGS)

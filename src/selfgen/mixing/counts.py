"""What the manifest of training rows tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any


def counted(
    rows: Iterable[dict[str, Any]], facts: Counter[str]
) -> Iterator[dict[str, Any]]:
    """The rows as they are; ``facts`` receives how many there are, of how many steps."""
    last = None
    for row in rows:
        facts["rows"] += 1
        facts["steps"] += row["step"] != last
        last = row["step"]
        yield row

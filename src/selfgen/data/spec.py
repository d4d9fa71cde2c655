"""What the step of records reads."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RecordsSpec:
    """Which data set becomes the records of a task, and how many rows of each split.

    Units: ``max_words`` words of prompt, ``max_reference_words`` words of reference,
    ``templates`` problem templates (math only).
    """

    task: str
    dataset: str
    rows: dict[str, int]
    max_words: int | None = None
    max_reference_words: int | None = None
    templates: int | None = None

"""What collecting, tables and figures read beyond files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

Own = TypeVar("Own")


@dataclass(frozen=True)
class Cell:
    """One declared (task, model, method, decoding, seed) of the result tables."""

    task: str
    model: str
    method: str
    decoding: str
    seed: int


@dataclass(frozen=True)
class Column:
    """One score column of the main table."""

    task: str
    split: str
    metric: str
    title: str
    shared_templates: bool = False


@dataclass(frozen=True)
class TableSpec(Generic[Own]):
    """What any table or figure needs beyond the files that it reads.

    ``kind`` is its entry in the registry and ``name`` the stem of its files; they differ
    where one kind makes several tables. ``columns`` are the scores of the main table,
    ``labels`` what readers call the methods. ``cells`` say in order whose results the files
    are, one or several a cell; ``own`` is what only this kind of table needs, None where that
    is nothing.
    """

    kind: str
    name: str
    scale: str
    columns: tuple[Column, ...]
    labels: dict[str, str]
    baseline: str
    bootstrap_samples: int
    confidence: float
    seed: int
    cells: tuple[Cell, ...]
    own: Own

    @property
    def percent(self) -> str:
        """The confidence of all intervals, as readers see it."""
        return f"{100 * self.confidence:g}%"


@dataclass(frozen=True)
class CollectSpec:
    """Which score files there are, and how nodes hang together.

    ``cells`` name the score files in order; ``parents`` and ``passes`` give each method's
    parent and the ``generator/pass`` whose tokens it was mixed from.
    """

    cells: tuple[Cell, ...]
    parents: dict[str, str | None]
    nodes: dict[str, tuple[str, ...]]
    passes: dict[str, tuple[str, ...]]

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
    """One score column of the main table; ``primary``: see ``TableSpec``."""

    task: str
    split: str
    metric: str
    title: str
    shared_templates: bool = False
    primary: bool = True


@dataclass(frozen=True)
class TableSpec(Generic[Own]):
    """What any table or figure needs beyond the files that it reads.

    ``kind`` is its entry in the registry and ``name`` the stem of its files; they differ
    where one kind makes several tables. ``columns`` are the scores of the main table,
    ``labels`` what readers call the methods. ``primary``: those whose difference to the
    baseline was declared before the run as what is asked, in the columns that are primary.
    ``cells`` say in order whose results the files are, one or several a cell; ``own`` is what
    only this kind of table needs, None where that is nothing.
    """

    kind: str
    name: str
    scale: str
    columns: tuple[Column, ...]
    labels: dict[str, str]
    baseline: str
    primary: tuple[str, ...]
    confidence: float
    cells: tuple[Cell, ...]
    own: Own

    @property
    def percent(self) -> str:
        """The confidence of all intervals, as readers see it."""
        return f"{100 * self.confidence:g}%"


@dataclass(frozen=True)
class Trained:
    """A checkpoint that is fine-tuned."""

    task: str
    model: str
    checkpoint: str
    seed: int


@dataclass(frozen=True)
class Passed:
    """A generation pass, and the checkpoints that are trained on what it wrote."""

    task: str
    model: str
    seed: int
    checkpoints: tuple[str, ...]


@dataclass(frozen=True)
class CollectSpec:
    """Whose the collected files are, those of each kind in order.

    ``cells``: of the scores; those with a model also of the answers. ``trained``: of the
    manifests of trainings and of the curves; ``passed``: of the manifests of passes.
    ``parents``: each method's parent; ``checkpoints``: the method of each checkpoint, of
    which a method of several rounds has one a round.
    """

    cells: tuple[Cell, ...]
    parents: dict[str, str | None]
    trained: tuple[Trained, ...]
    checkpoints: dict[str, str]
    passed: tuple[Passed, ...]

"""What collecting, tables and figures read beyond files."""

from __future__ import annotations

from dataclasses import dataclass, field
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
class Reference:
    """The methods that are candidates for the baseline of a task and base model, and the one
    that was chosen on validation; empty until the choice is read."""

    task: str
    model: str
    candidates: tuple[str, ...]
    chosen: str = ""


@dataclass(frozen=True)
class TableSpec(Generic[Own]):
    """What any table or figure needs beyond the files that it reads.

    ``kind`` is its entry in the registry and ``name`` the stem of its files; they differ
    where one kind makes several tables. ``columns`` are the scores of the main table,
    ``labels`` what readers call the methods, ``mixes`` their kinds. ``baseline``: the
    method that the others are compared with, or that of each task and base model.
    ``primary``: those whose difference to it was declared before the run as what is
    asked, in the columns that are primary. ``cells`` say in order whose results the files
    are, one or several a cell; ``own`` is what only this kind of table needs, None where
    that is nothing.
    """

    kind: str
    name: str
    scale: str
    columns: tuple[Column, ...]
    labels: dict[str, str]
    baseline: str | tuple[Reference, ...]
    primary: tuple[str, ...]
    confidence: float
    cells: tuple[Cell, ...]
    own: Own
    mixes: dict[str, str] = field(default_factory=dict)

    @property
    def percent(self) -> str:
        """The confidence of all intervals, as readers see it."""
        return f"{100 * self.confidence:g}%"

    def baseline_of(self, task: str, model: str) -> str:
        """The method that others of a task and base model are compared with; empty where
        there is none."""
        if isinstance(self.baseline, str):
            return self.baseline
        own = (r.chosen for r in self.baseline if (r.task, r.model) == (task, model))
        return next(own, "")

    @property
    def baselines(self) -> tuple[str, ...]:
        """The methods that the baseline is, or was chosen from."""
        if isinstance(self.baseline, str):
            return (self.baseline,)
        return tuple(dict.fromkeys(n for r in self.baseline for n in r.candidates))

    @property
    def baseline_label(self) -> str:
        """What a reader calls what others are compared with."""
        if isinstance(self.baseline, str):
            names = {self.baseline}
        else:
            names = {reference.chosen for reference in self.baseline}
        if len(names) > 1:
            return "the baseline"
        return self.labels.get(*names, *names)

    @property
    def baseline_notes(self) -> list[str]:
        """Which method is the baseline of each task, where that was chosen."""
        if isinstance(self.baseline, str):
            return []
        many = len({reference.model for reference in self.baseline}) > 1
        chosen = "; ".join(
            f"{r.task}{f' ({r.model})' if many else ''}: {self.labels[r.chosen]}"
            for r in self.baseline
        )
        among = ", ".join(self.labels[name] for name in self.baselines)
        return [
            f"The baseline is the best on validation of {among} (table tuning): {chosen}."
        ]


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

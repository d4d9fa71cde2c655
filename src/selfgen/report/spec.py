"""What the renderings read; importing this is cheap, as of ``specs``."""

from __future__ import annotations

from dataclasses import dataclass


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
class TablesSpec:
    """What the renderings need beyond the collected scores."""

    scale: str
    columns: tuple[Column, ...]
    labels: dict[str, str]
    baseline: str
    bootstrap_samples: int
    confidence: float
    seed: int


@dataclass(frozen=True)
class ExposureTableSpec:
    """The cells whose step errors are tabulated, in order, up to which ``lengths``."""

    cells: tuple[Cell, ...]
    labels: dict[str, str]
    oracle: str
    lengths: tuple[int, ...]
    scale: str
    bootstrap_samples: int
    confidence: float
    seed: int


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


@dataclass(frozen=True)
class SamplesSpec:
    """The cells whose answers stand side by side, in order, and the table they are of."""

    cells: tuple[Cell, ...]
    tables: TablesSpec


@dataclass(frozen=True)
class PreferredSpec:
    """Preference stages: the method that each comes after, and the mix that makes its pairs,
    both by its name."""

    tables: TablesSpec
    parents: dict[str, str]
    kinds: dict[str, str]

    def baseline(self, name: str) -> str | None:
        """The stage of the same kind after the baseline, but not the stage itself."""
        found = [
            other
            for other, parent in self.parents.items()
            if parent == self.tables.baseline and self.kinds[other] == self.kinds[name]
        ]
        return found[0] if found and name not in found else None


@dataclass(frozen=True)
class LossTableSpec:
    """The cells whose losses are tabulated, in order, and how intervals are made."""

    cells: tuple[Cell, ...]
    labels: dict[str, str]
    scale: str
    bootstrap_samples: int
    confidence: float
    seed: int


@dataclass(frozen=True)
class WinRatesSpec:
    """The table of one comparison: its cells in order, its words, and how intervals are made.

    ``judge`` and ``opponent`` as readers call them; ``proxy``: what stands in for a judge;
    ``coin``: whether one is tossed for replies without a winner.
    """

    name: str
    cells: tuple[Cell, ...]
    labels: dict[str, str]
    judge: str
    opponent: str
    proxy: str
    coin: bool
    bootstrap_samples: int
    confidence: float
    seed: int


@dataclass(frozen=True)
class BenchmarkSpec:
    """The table of a benchmark: its cells in order, its words, and how intervals are made."""

    cells: tuple[Cell, ...]
    labels: dict[str, str]
    judge: str
    bootstrap_samples: int
    confidence: float
    seed: int

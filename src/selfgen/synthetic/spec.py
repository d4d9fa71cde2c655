"""What one synthetic experiment reads: an experiment's model, records and variants."""

from __future__ import annotations

from dataclasses import dataclass

from selfgen.core.types import Seed
from selfgen.data.dataset import RecordsSpec
from selfgen.data.prompts import PromptSpec
from selfgen.generation.spec import PassSpec
from selfgen.methods import Rows
from selfgen.models.base import ModelSpec
from selfgen.training.spec import TrainSpec


@dataclass(frozen=True)
class StopSpec:
    """Train until so large a share of the validation answers is exactly right, asked
    ``every`` so many steps; a run that does not get there has failed."""

    exact: float
    every: int


@dataclass(frozen=True)
class VariantSpec:
    """One model: where it starts, which pass it reads, how it is trained, what is asked.

    ``generator``: the variant whose model made the pass; without one, as without a
    ``parent``, the base. ``match_wall_time``: the variant
    whose time it takes. ``curve_every``: steps between two readings of the validation
    split; 0: none. ``decodings`` are read on the test split; none for a round that is not
    the last.
    """

    name: str
    declared: str
    parent: str | None
    rows: Rows
    train: TrainSpec
    generator: str | None = None
    passed: PassSpec | None = None
    match_wall_time: str | None = None
    stop: StopSpec | None = None
    curve_every: int = 0
    decodings: tuple[str, ...] = ()


@dataclass(frozen=True)
class SyntheticSpec:
    """An experiment under one seed; each of ``variants`` comes after its parent."""

    experiment: str
    seed: Seed
    model: ModelSpec
    records: RecordsSpec
    prompt: PromptSpec
    variants: tuple[VariantSpec, ...]

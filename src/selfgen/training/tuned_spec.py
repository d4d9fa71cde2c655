"""What fine-tuning reads at a learning rate that is chosen on validation."""

from __future__ import annotations

from dataclasses import dataclass

from selfgen.core.spec import Checked
from selfgen.training.spec import TrainSpec


@dataclass(frozen=True, kw_only=True)
class TunedSpec(Checked):
    """A fine-tuning run at one of ``rates``: ``train`` has the lowest, in whose place the
    chosen one is taken."""

    train: TrainSpec
    rates: tuple[float, ...]

"""What the steps of held-out losses read; importing this is cheap, as of ``specs``."""

from __future__ import annotations

from dataclasses import dataclass

from selfgen.specs import Cell, Device


@dataclass(frozen=True)
class LossSpec:
    """So many held-out dialogues (``rows``), in blocks of ``block_tokens``."""

    rows: int
    block_tokens: int
    device: Device


@dataclass(frozen=True)
class LossTableSpec:
    """The cells whose losses are tabulated, in order, and how intervals are made."""

    cells: tuple[Cell, ...]
    labels: dict[str, str]
    scale: str
    bootstrap_samples: int
    confidence: float
    seed: int

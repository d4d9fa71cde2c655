"""What the tables and figures of controlled runs need beyond the collected numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RegimeSpec:
    """A regime's words, and which of its methods belong on which axis.

    ``betas``: beta of each plain BASH method of the baseline's stage; ``controls``: the
    random-token method of each of those that has one. ``shown``: the methods of the
    figures by length and position. ``curves``: those with a learning curve, the baseline
    of the others first.
    """

    name: str
    label: str
    baseline: str
    labels: dict[str, str]
    betas: dict[str, float]
    controls: dict[str, str]
    shown: tuple[str, ...]
    curves: tuple[str, ...]


@dataclass(frozen=True)
class AblationSpec:
    """All regimes, and how intervals are made; ``seeds``: those that were asked for."""

    scale: str
    regimes: tuple[RegimeSpec, ...]
    seeds: tuple[int, ...]
    bootstrap_samples: int
    confidence: float
    seed: int

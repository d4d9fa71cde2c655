"""What the tables and figures of synthetic experiments need beyond the collected numbers."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class CollectSpec:
    """Which run, (experiment, seed), each of the files is of."""

    runs: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class ExperimentSpec:
    """An experiment's words, and which of its methods belong on which axis.

    ``methods`` in the order of the tables, ``mixes`` their kinds. ``betas``: beta of each
    BASH method of the baseline's stage that has no other knob turned; ``controls``: the
    random-token method of each of those that has one. ``compared``: those that start
    where the baseline starts and are not trained for longer on purpose. ``primary``:
    those whose difference to the baseline in ``measure`` was declared before the run as
    what is asked. ``pairs``: which methods are compared besides those with the baseline.
    ``curves``: those with a learning curve.
    """

    name: str
    label: str
    baseline: str
    methods: tuple[str, ...]
    labels: dict[str, str]
    betas: dict[str, float]
    controls: dict[str, str]
    compared: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    curves: tuple[str, ...]
    primary: tuple[str, ...]
    measure: str
    mixes: dict[str, str] = field(default_factory=dict)

    def middle(self) -> tuple[str, ...]:
        """The baseline, the middle one of ``betas``, and its control where it has one."""
        dose = self.dose()
        if not dose:
            return (self.baseline,)
        method = dose[(len(dose) - 1) // 2]
        control = (self.controls[method],) if method in self.controls else ()
        return (self.baseline, method, *control)

    def shown(self) -> tuple[str, ...]:
        """The methods of the figure by length: one control is enough for the eye."""
        return (self.baseline, *self.dose(), *self.middle()[2:])

    def dose(self) -> list[str]:
        """The methods of ``betas``, by beta."""
        return sorted(self.betas, key=lambda method: self.betas[method])


@dataclass(frozen=True)
class AblationSpec:
    """All experiments, and how intervals are made; ``seeds``: those that were asked for."""

    scale: str
    experiments: tuple[ExperimentSpec, ...]
    seeds: tuple[int, ...]
    confidence: float

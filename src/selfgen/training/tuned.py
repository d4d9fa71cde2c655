"""Fine-tuning at the learning rate that was chosen on validation, as a step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.core import choices
from selfgen.core.errors import UserError
from selfgen.training import step as training
from selfgen.training.spec import TrainSpec
from selfgen.training.tuned_spec import TunedSpec

if TYPE_CHECKING:
    from selfgen.runtime.job import Job


def at_chosen(spec: TunedSpec, path: Path) -> TrainSpec:
    """The run at the rate that the choice in ``path`` names.

    Raises UserError: that is none of the grid.
    """
    found = choices.read(path).chosen
    rates = {repr(rate): rate for rate in spec.rates}
    if found not in rates:
        raise UserError(
            f"{path}: found the learning rate {found}, allowed: {', '.join(rates)};"
            " delete it, and it is made anew"
        )
    optimization = spec.train.optimization
    change = {"learning_rate": rates[found]}
    return replace(spec.train, optimization=optimization.model_copy(update=change))


def step(spec: TunedSpec, job: Job) -> dict[str, Any] | None:
    """As ``training.step``; the manifest tells the rate besides."""
    train = at_chosen(spec, job.input("choice"))
    facts = training.step(train, job)
    if facts is None:
        return None
    return facts | {"learning_rate": train.optimization.learning_rate}

"""The configuration of synthetic experiments: small models on procedural tasks."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from selfgen.config import Config, Evaluation, Stage, checked
from selfgen.config.sources import RandomModel
from selfgen.config.tasks import Task
from selfgen.core import names
from selfgen.core.types import Count, Keys, Seeds, Share, known
from selfgen.methods import Method, base
from selfgen.tasks import DATASETS


class Stop(Keys):
    """Train a method until it knows its task; a seed that does not get there is reported
    as failed, and nothing is said of the methods that come after."""

    method: str = Field(description="The method, usually the base of all others.")
    exact: Share = Field(
        description="Share of validation answers that must be exactly right."
    )
    every: Count = Field(description="Steps between two readings.")


class Curves(Keys):
    """Learning curves, read on the validation split."""

    methods: list[str] = Field(min_length=1, description="Whose curves.")
    every: Count = Field(description="Steps between two readings.")


class Primary(Keys):
    """Which methods' differences to `baseline` are the question, declared before the run. Two
    marks are corrected for how many these are; all other comparisons are exploratory."""

    methods: list[str] | None = Field(
        default=None, min_length=1, description="Their names; all methods by default."
    )
    measure: Literal["exact", "free_error", "forced_error", "excess"] = Field(
        default="exact", description="In what they may differ."
    )


class Experiment(Keys):
    """A task with known answers, a small model trained from nothing, and its methods."""

    label: names.Label = Field(description="Name in tables and figures.")
    task: Task = Field(description="Its data set must have aligned answers.")
    model: RandomModel = Field(
        description="Its seed is that of the run; `characters` must be set."
    )
    stages: dict[str, Stage] = Field(min_length=1, description="Fine-tuning recipes.")
    methods: dict[str, Method] = Field(min_length=1, description="What is compared.")
    baseline: str = Field(description="Method that the others are compared with.")
    primary: Primary = Field(
        default=Primary(),
        description="The comparisons that are asked for, declared before the run.",
    )
    stop: Stop | None = Field(default=None, description="Train one until it knows.")
    curves: Curves | None = Field(default=None, description="Learning curves.")

    @model_validator(mode="after")
    def _consistent(self) -> Experiment:
        names.check("stages", self.stages)
        names.check("methods", self.methods)
        aligned = {n: d for n, d in DATASETS.items() if d.aligned is not None}
        known("task.dataset", self.task.dataset, aligned)
        if not self.model.characters:
            raise ValueError("model.characters: found nothing, this key is required")
        known("baseline", self.baseline, self.methods)
        for name in self.primary.methods or ():
            known("primary.methods", name, self.methods)
        for name, method in self.methods.items():
            if isinstance(method, base.Trained) and not method.in_memory:
                raise ValueError(
                    f"methods.{name}.mix: found {method.mix!r}, which synthetic experiments"
                    " do not have"
                )
        for name, stage in self.stages.items():
            if len(stage.rates) > 1:
                raise ValueError(
                    f"stages.{name}.learning_rate: found a list, allowed: one rate, since"
                    " synthetic experiments do not tune it"
                )
            if stage.dialogues:
                raise ValueError(
                    f"stages.{name}.dialogues: found {stage.dialogues!r}, which synthetic"
                    " experiments do not have"
                )
        for key in ("models", "methods", "seeds", "stages", "split", "decoding"):
            if given := getattr(self.task, key):
                raise ValueError(
                    f"task.{key}: found {given!r}, which synthetic experiments do not have"
                )
        if self.stop:
            known("stop.method", self.stop.method, self.methods)
        for name in self.curves.methods if self.curves else ():
            known("curves.methods", name, self.methods)
        return self


class Synthetic(Keys):
    """Experiments under several seeds, one process for each of both."""

    scale: str = Field(
        pattern=names.NAME,
        max_length=names.MAX_NAME,
        description="Name of this scale, shown in tables.",
    )
    seeds: Seeds = Field(
        description="Each decides weights, order and draws of a chain."
    )
    experiments: dict[str, Experiment] = Field(min_length=1, description="What is run.")
    evaluation: Evaluation = Field(
        default=Evaluation(),
        description="Intervals; `baseline`, `primary` and `split` not read.",
    )

    @model_validator(mode="after")
    def _sound(self) -> Synthetic:
        names.check("experiments", self.experiments)
        names.apart(
            (f"experiments.{name}.label", experiment.label)
            for name, experiment in self.experiments.items()
        )
        for name, experiment in self.experiments.items():
            try:
                base.check(experiment.methods, experiment.stages, {})
            except ValueError as error:
                raise ValueError(f"experiments.{name}.{error}") from None
        return self

    def of(self, experiment: str) -> Config:
        """An experiment as a configuration of one task and one model, of the same name."""
        found = self.experiments[experiment]
        return Config(
            scale=self.scale,
            seeds=self.seeds,
            device="cpu",
            precision="fp32",
            models={experiment: found.model},
            tasks={experiment: found.task},
            stages=found.stages,
            methods=found.methods,
            evaluation=self.evaluation.model_copy(update={"baseline": found.baseline}),
        )


def load(raw: dict[str, Any]) -> Synthetic:
    """As ``selfgen.config.load``, for a file with ``experiments``."""
    return checked(Synthetic, raw)

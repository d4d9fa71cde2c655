"""Stages that join others: SFT and a second stage in one schedule, say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selfgen.config.dialogues import ask_alone
from selfgen.core.types import known
from selfgen.methods.base import Trained

if TYPE_CHECKING:
    from selfgen.config import Config, Stage

OF_THE_JOINED = ("epochs", "batch_size", "rows", "fresh_rows", "dialogues")
"""Keys that say which rows a stage has: those that it joins have them."""


def check(config: Config) -> None:
    """Raises ValueError where a stage cannot join others, or a method not train by it."""
    for name, stage in config.stages.items():
        if stage.joins:
            _check_stage(f"stages.{name}", stage, config.stages)
    for task in config.tasks.values():
        for method in task.methods or config.methods:
            trained = config.methods[method]
            if not isinstance(trained, Trained):
                continue
            own = task.stages.get(trained.stage, trained.stage)
            if joins := config.stages[own].joins:
                ask_alone(f"stages.{own}.joins: found {joins}", method, trained)


def _check_stage(where: str, stage: Stage, stages: dict[str, Stage]) -> None:
    for key in OF_THE_JOINED:
        default = type(stage).model_fields[key].default
        if (value := getattr(stage, key)) != default:
            raise ValueError(
                f"{where}.{key}: found {value!r}, allowed with joins: {default!r}, for the"
                " joined stages say it"
            )
    for name in stage.joins or ():
        known(f"{where}.joins", name, stages)
        other = stages[name]
        if other.joins or other.dialogues or other.loss != stage.loss:
            raise ValueError(
                f"{where}.joins: found {name!r}, allowed: stages that join none, have no"
                f" dialogues, and have loss: {stage.loss}"
            )

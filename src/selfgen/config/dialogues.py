"""Whole dialogues that a stage trains on, in the place of its task's records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from selfgen.core.types import Count, CountFromTwo, Keys, known
from selfgen.methods import TRAINED
from selfgen.methods.base import Trained
from selfgen.tasks import DATASETS

if TYPE_CHECKING:
    from selfgen.config import Config, Stage


class Dialogues(Keys):
    """Whole dialogues, packed one after the other into blocks of equal length."""

    train: str = Field(
        description="JSON lines or Parquet with `messages`, a list of `role` and `content`;"
        " by its name in `files`."
    )
    test: str = Field(
        description="The same, held out: the loss on it is measured after training."
    )
    train_rows: Count = Field(
        description="How many dialogues, those of the lowest hash."
    )
    test_rows: Count = Field(description="How many held-out ones.")
    block_tokens: CountFromTwo = Field(
        default=2048, description="Tokens of a block, which is a row of training."
    )


def check(config: Config) -> None:
    """Raises ValueError where a stage, or a method that trains by it, cannot have them."""
    for name, stage in config.stages.items():
        if stage.dialogues:
            known(f"stages.{name}.dialogues", stage.dialogues, config.dialogues)
            _check_stage(f"stages.{name}", stage)
    for name, task in config.tasks.items():
        for method in task.methods or config.methods:
            trained = config.methods[method]
            if not isinstance(trained, Trained):
                continue
            own = task.stages.get(trained.stage, trained.stage)
            used = config.stages[own].dialogues
            if not used:
                continue
            ask_alone(f"stages.{own}.dialogues: found {used!r}", method, trained)
            file = config.dialogues[used].train
            if task.validation_rows and file in DATASETS[task.dataset].sources:
                raise ValueError(
                    f"tasks.{name}.validation_rows: found {task.validation_rows}, allowed"
                    f" where stages.{own} trains on dialogues of {file}: 0"
                )


def _check_stage(where: str, stage: Stage) -> None:
    if stage.loss != "all":
        raise ValueError(
            f"{where}.loss: found {stage.loss!r}, allowed with dialogues: all"
        )
    if stage.rows:
        raise ValueError(
            f"{where}.rows: found {stage.rows}, allowed with dialogues: none, their number"
            f" is dialogues.{stage.dialogues}.train_rows"
        )
    if not stage.fresh_rows:
        raise ValueError(
            f"{where}.fresh_rows: found false, allowed with dialogues: true"
        )


def ask_alone(problem: str, name: str, method: Trained) -> None:
    """Raises ValueError, which begins with ``problem``, where a method needs more than rows
    of references."""
    where = f"methods.{name}"
    if method.on_dialogues is None:
        mixes = [x for x, kind in TRAINED.items() if kind.on_dialogues is not None]
        raise ValueError(
            f"{problem} with {where} of mix {method.mix!r}; allowed with"
            f" {', '.join(mixes)}"
        )
    for key, allowed in method.on_dialogues.items():
        if (value := getattr(method, key)) != allowed:
            raise ValueError(
                f"{problem} with {where}.{key} {value!r}; allowed with {allowed!r}"
            )

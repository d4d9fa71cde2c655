"""From the configuration of tasks to the metrics that their answers are scored with."""

from __future__ import annotations

import re
from pathlib import Path

from selfgen.config import Config
from selfgen.core.errors import UserError
from selfgen.evaluation import metrics
from selfgen.evaluation.own_metric import address
from selfgen.evaluation.text import SHAPE
from selfgen.tasks import DATASETS

TAKEN = (
    *("task", "split", "model", "method", "decoding", "seed", "id"),
    *("shared_templates", "n", "seeds", *SHAPE),
)
"""Columns of scores and of their tables that are of no metric."""


COLUMN = r"[A-Za-z][A-Za-z0-9_.-]{,63}"
"""Columns of metrics of one's own are named in the configuration."""


def names(config: Config, task: str) -> tuple[str, ...]:
    """The metrics of a task: its own, or those of its data set."""
    section = config.tasks[task]
    return tuple(section.metrics or DATASETS[section.dataset].metrics)


def main(config: Config, task: str) -> tuple[str, str]:
    """The first metric of a task, and the column of it that methods are compared by."""
    first = names(config, task)[0]
    return first, metrics.main(first)


def modules(config: Config, *tasks: str) -> list[str]:
    """The modules of the built-in metrics of some tasks."""
    used = {name for task in tasks for name in names(config, task)}
    return sorted(metrics.module(name) for name in used if not address(name))


def files(config: Config, task: str) -> list[str]:
    """The files of the metrics of one's own that a task has."""
    return [own[0] for name in names(config, task) if (own := address(name))]


def check(config: Config, root: Path) -> None:
    """Raises UserError where a task names a metric that is not there, or a column twice."""
    for task in config.tasks:
        where = f"config: tasks.{task}.metrics"
        taken = set(TAKEN)
        for name in names(config, task):
            own = address(name)
            if own and not (root / own[0]).is_file():
                raise UserError(f"{where}: found no file {own[0]}")
            try:
                columns = metrics.columns(name)
            except UserError as error:
                raise UserError(f"config: tasks.{task}.{error}") from None
            for column in columns:
                if not re.fullmatch(COLUMN, column):
                    raise UserError(
                        f"{where}: {name:.80}: found the column {column!r:.80}, allowed: a"
                        " letter, then letters, digits, '_', '.' and '-', at most 64"
                    )
                if column.casefold() in taken:
                    raise UserError(
                        f"{where}: {name}: found the column {column!r} twice, allowed:"
                        " once, and none of " + ", ".join(TAKEN)
                    )
                taken.add(column.casefold())

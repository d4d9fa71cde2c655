"""A metric of the user's own: a module of the library ``evaluate``, in a file.

The configuration names it ``PATH.py`` or ``PATH.py:KEY,KEY``, where a key is one of what the
metric computes and becomes a column; without keys it is the name of the file. The file
is the user's own code and is run, as the function of ``mix: custom`` is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selfgen.core import own_code
from selfgen.core.errors import UserError
from selfgen.evaluation.metric import Metric


def address(name: str) -> tuple[str, tuple[str, ...]] | None:
    """Path and keys of a metric of one's own; None where the name is of a built-in one."""
    path, _, keys = name.partition(":")
    if not path.endswith(".py"):
        return None
    return path, tuple(keys.split(",")) if keys else (Path(path).stem,)


def load(path: Path, keys: tuple[str, ...]) -> Metric:
    """The ``evaluate.Metric`` of a file, computed for one answer at a time.

    Raises UserError: no such file, not one such class in it, or, when an answer is scored,
    a key that it does not compute, or a value that is no number from 0 to 1.
    """
    import evaluate

    module = own_code.load(path, "metrics")
    classes = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, evaluate.Metric)
        and value.__module__ == module.__name__
    ]
    if len(classes) != 1:
        raise UserError(
            f"metrics: {path}: found {len(classes)} classes of evaluate.Metric, allowed: 1"
        )
    metric = classes[0](keep_in_memory=True)

    def score(text: str, record: Mapping[str, Any]) -> dict[str, float]:
        scores = metric.compute(predictions=[text], references=[record["reference"]])
        return {key: _share(path, key, scores) for key in keys}

    return Metric({key: key for key in keys}, score)


def _share(path: Path, key: str, scores: Mapping[str, Any]) -> float:
    if key not in scores:
        raise UserError(
            f"metrics: {path}: found no {key!r}, allowed: {', '.join(scores)}"
        )
    try:
        value = float(scores[key])
    except (TypeError, ValueError):
        value = float("nan")
    if not 0 <= value <= 1:
        raise UserError(
            f"metrics: {path}: {key}: found {scores[key]!r}, allowed: a number from 0 to 1"
        )
    return value

"""The metrics, one file each: every module here that defines ``METRIC`` is one.

``tasks.NAME.metrics`` in the configuration names them, or files of the user's own
(``own_metric``). Methods are compared by the main column of a task's first metric.
"""

from __future__ import annotations

from pathlib import Path

from selfgen.core.errors import UserError
from selfgen.core.registry import found, module_of
from selfgen.evaluation import own_metric
from selfgen.evaluation.metric import Metric

METRICS: dict[str, Metric] = found(__name__, "METRIC")


def metric(name: str, root: Path = Path()) -> Metric:
    """A metric by its name; the path of one's own is below ``root``.

    Raises UserError: an unknown name, or a file that holds no metric.
    """
    if own := own_metric.address(name):
        path, keys = own
        return own_metric.load(root / path, keys)
    if name not in METRICS:
        raise UserError(
            f"metrics: found {name!r}, allowed: {', '.join(METRICS)}, or PATH.py"
        )
    return METRICS[name]


def columns(name: str) -> tuple[str, ...]:
    """The columns of a metric; nothing of the user's own is run."""
    own = own_metric.address(name)
    return own[1] if own else tuple(metric(name).columns)


def main(name: str) -> str:
    """The column of a metric that methods are compared by."""
    built_in = METRICS.get(name)
    return (built_in and built_in.main) or columns(name)[0]


def module(name: str) -> str:
    """The module of a built-in metric: with ``evaluation.scores`` the code of its scores."""
    return module_of(__name__, name)


def title(column: str) -> str:
    """What tables call a column; a column of one's own goes by its name."""
    titles = (each.columns[column] for each in _with(column))
    return next(titles, column)


def right_or_wrong(column: str) -> bool:
    """Whether every score of a column is 0 or 1."""
    return any(each.right_or_wrong for each in _with(column))


def _with(column: str) -> list[Metric]:
    return [each for each in METRICS.values() if column in each.columns]

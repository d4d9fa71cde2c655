"""selfgen: train language models on their own tokens (BASH and RAC, arXiv 2410.14655)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selfgen.core.errors import UserError
    from selfgen.core.spec import Sampling
    from selfgen.data.columns import Columns
    from selfgen.library.measure import measure
    from selfgen.library.refresh import FreshRows, OnlineCollator
    from selfgen.library.rows import bash_rows, rac_rows, random_rows, sft_rows

__version__ = "0.1.0"

_PLACES = {
    "Columns": "data.columns",
    "FreshRows": "library.refresh",
    "OnlineCollator": "library.refresh",
    "Sampling": "core.spec",
    "UserError": "core.errors",
    "bash_rows": "library.rows",
    "measure": "library.measure",
    "rac_rows": "library.rows",
    "random_rows": "library.rows",
    "sft_rows": "library.rows",
}
"""Where names of the library are: imported when they are asked for, since some import torch
and the workflow imports this whenever it is parsed."""

__all__ = [
    "Columns",
    "FreshRows",
    "OnlineCollator",
    "Sampling",
    "UserError",
    "bash_rows",
    "measure",
    "rac_rows",
    "random_rows",
    "sft_rows",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'selfgen' has no attribute {name!r}")
    return getattr(importlib.import_module(f"selfgen.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})

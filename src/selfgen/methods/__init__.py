"""The built-in methods, one file each: its keys, its pass, its rows, its loss, its cost.

Every module here that defines ``METHOD`` is a method, by its name with ``-`` for ``_``: the
``mix`` of the configuration. Importing this is cheap: the workflow always does.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, cast

from pydantic import Field

from selfgen.core.registry import found, module_of
from selfgen.mixing.mix import Mix
from selfgen.mixing.spec import RowsSpec

if TYPE_CHECKING:
    # What is asked of a method is no code of what trains by it.
    from selfgen.methods import base

METHODS: dict[str, type[base.Method]] = found(__name__, "METHOD")

TRAINED = {
    name: cast("type[base.Trained]", kind)
    for name, kind in METHODS.items()
    if hasattr(kind, "mixed_by")
}

if TYPE_CHECKING:
    Method = base.Method
    Rows = RowsSpec[Mix]
else:
    _BY_MIX = Field(discriminator="mix")
    _MIXES = reduce(or_, (kind.mixed_by for kind in TRAINED.values()))
    Method = Annotated[reduce(or_, METHODS.values()), _BY_MIX]
    Rows = RowsSpec[Annotated[_MIXES, _BY_MIX]]


def code(mix: str) -> str:
    """What makes the rows of a method: with ``selfgen.mixing.build`` the code of its rows."""
    return f"{module_of(__name__, mix)}:{TRAINED[mix].mixed_by.__name__}"

"""The built-in methods, one file each: its keys, its pass, its rows, its loss, its cost.

Every module here that defines ``METHOD`` is a method, by its name with ``-`` for ``_``: the
``mix`` of the configuration. Importing this is cheap: the workflow does whenever it is parsed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from selfgen.core.registry import found, module_of
from selfgen.methods import base
from selfgen.mixing.mix import Mix
from selfgen.mixing.spec import RowsSpec

METHODS: dict[str, type[base.Method]] = found(__name__, "METHOD")

TRAINED = {
    name: kind for name, kind in METHODS.items() if issubclass(kind, base.Trained)
}

if TYPE_CHECKING:
    Method = base.Method
    Rows = RowsSpec[Mix]
else:
    Method = Annotated[Union[tuple(METHODS.values())], Field(discriminator="mix")]
    _MIXES = Union[tuple(kind.mixed_by for kind in TRAINED.values())]
    Rows = RowsSpec[Annotated[_MIXES, Field(discriminator="mix")]]


def code(mix: str) -> str:
    """What makes the rows of a method: with ``selfgen.mixing.build`` the code of its rows."""
    return f"{module_of(__name__, mix)}:{TRAINED[mix].mixed_by.__name__}"

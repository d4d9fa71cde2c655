"""The methods, one file each: its keys, its pass, its rows, its loss, its cost.

Every module here that defines ``METHOD`` is a method, by its name with ``-`` for ``_``: the
``mix`` of the configuration. Installed packages bring more by entry points of the group
``selfgen.methods`` (docs/own-method.md). Importing this is cheap: the workflow always does.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, cast, get_args

from pydantic import Field

from selfgen.core.errors import UserError
from selfgen.core.registry import brought, found
from selfgen.mixing.mix import Mix
from selfgen.mixing.spec import RowsSpec

if TYPE_CHECKING:
    # What is asked of a method is no code of what trains by it.
    from selfgen.methods import base

BUILT_IN: dict[str, type[base.Method]] = found(__name__, "METHOD")
METHODS = BUILT_IN | brought(__name__, BUILT_IN)

for _name, _kind in METHODS.items():
    if get_args(_kind.model_fields["mix"].annotation) != (_name,):
        raise UserError(
            f"entry point {__name__}: {_name}: found {_kind.__name__} with another mix,"
            f" allowed: mix: Literal[{_name!r}]"
        )

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
    kind = TRAINED[mix].mixed_by
    return f"{kind.__module__}:{kind.__name__}"

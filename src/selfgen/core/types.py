"""What every part of the configuration is made of: checked keys and numbers."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

NAME = r"^[a-z0-9][a-z0-9.-]*$"
"""Names of tasks, models and methods are parts of paths."""


def _number(value: Any) -> Any:
    # YAML 1.1 reads 1e-4 (no dot) as text.
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", value):
        return float(value)
    return value


Number = Annotated[float, BeforeValidator(_number)]
Share = Annotated[Number, Field(ge=0, le=1)]
MAX_COUNT = 10**12
"""Maximum of every count. Larger values are almost certainly typos."""

Count = Annotated[int, Field(ge=1, le=MAX_COUNT)]
CountOrZero = Annotated[int, Field(ge=0, le=MAX_COUNT)]
CountFromTwo = Annotated[int, Field(ge=2, le=MAX_COUNT)]


def one_of(*names: str) -> Any:
    """One of some names, as part of ``Annotated[str, ...]``: a type checker sees a text."""

    def check(value: str) -> str:
        if value not in names:
            raise ValueError("allowed: " + ", ".join(map(repr, names)))
        return value

    return AfterValidator(check)


class Keys(BaseModel):
    """A section: unknown keys and wrong types are refused."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False
    )


Part = TypeVar("Part", bound=Keys)


def part(kind: type[Part], section: Keys) -> Part:
    """A section of the keys of ``kind``, with the values that a larger one gives them."""
    return kind(**{name: getattr(section, name) for name in kind.model_fields})


def hint(value: Any, allowed: list[str]) -> str:
    """The end of a message: what is allowed, and what is nearest to ``value``."""
    near = difflib.get_close_matches(str(value), allowed, 1, 0.5)
    return f", allowed: {', '.join(allowed)}" + (
        f"; nearest: {near[0]}" if near else ""
    )


def known(path: str, value: str, allowed: Mapping[str, Any]) -> None:
    """Raises ValueError unless ``value`` is one of ``allowed``."""
    if value not in allowed:
        raise ValueError(f"{path}: found {value!r}{hint(value, list(allowed))}")

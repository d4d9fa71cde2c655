"""What every part of the configuration is made of: checked keys and numbers."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from selfgen.core.errors import UserError


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

MAX_SEED = 2**32 - 1
"""Maximum that all generators of random numbers take: numpy's is the narrowest."""

MAX_SEEDS = 1000
"""Maximum number of seeds: each is a chain of trainings of its own."""

Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]


def _distinct(seeds: list[int]) -> list[int]:
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"found {seeds!s:.60}, allowed are distinct ones")
    return seeds


Seeds = Annotated[
    list[Seed], Field(min_length=1, max_length=MAX_SEEDS), AfterValidator(_distinct)
]


def one_of(*names: str) -> Any:
    """One of some names, as part of ``Annotated[str, ...]``: a type checker sees a text."""

    def check(value: str) -> str:
        if value not in names:
            raise ValueError("allowed: " + ", ".join(map(repr, names)))
        return value

    return AfterValidator(check)


def refusal(owner: str, error: ValidationError) -> UserError:
    """The first problem of some values of ``owner``, in one line."""
    problem = error.errors()[0]
    where = ".".join([owner, *map(str, problem["loc"])])
    if problem["type"] == "missing":
        return UserError(f"{where}: found nothing, this key is required")
    said = problem["msg"].removeprefix("Value error, ")
    return UserError(
        f"{where}: found {problem['input']!r:.80}, {said[:1].lower()}{said[1:]}"
    )


if TYPE_CHECKING:  # Pydantic's own has no public name.
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)


class _Refusing(ModelMetaclass):
    """Who makes a section by hand is refused as a step's spec refuses, in one line; in a
    configuration pydantic makes them, and gathers all problems."""

    def __call__(cls, *args: Any, **values: Any) -> Any:
        try:
            return super().__call__(*args, **values)
        except ValidationError as error:
            raise refusal(cls.__name__, error) from None


class Keys(BaseModel, metaclass=_Refusing):
    """A section: unknown keys and wrong types are refused, and lists of names or seeds that
    hold one twice, which would be two rows or files of one name."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False
    )

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for name, value in self.__dict__.items():
            if not isinstance(value, list) or any(isinstance(x, float) for x in value):
                continue
            if any(item in value[:i] for i, item in enumerate(value)):
                raise ValueError(
                    f"{name}: found {value!r:.80}, allowed are distinct ones"
                )
        return self


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

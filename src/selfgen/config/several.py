"""Keys that take one value, or a list of candidates of which validation chooses one."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Discriminator, Field, Tag

from selfgen.core.types import Number


def _distinct(values: list[Any]) -> list[Any]:
    if len(set(values)) < len(values):
        raise ValueError(f"found {values!s:.80}, allowed are distinct ones")
    return values


def _tag(value: Any) -> str:
    """By which of the two a value is checked, so that one problem is told once."""
    return "several" if isinstance(value, list) else "one"


Rate = Annotated[Number, Field(gt=0)]
_Rates = Annotated[
    list[Rate], Field(min_length=1, fail_fast=True), AfterValidator(_distinct)
]
_Names = Annotated[
    list[str], Field(min_length=1, fail_fast=True), AfterValidator(_distinct)
]

RateOrRates = Annotated[
    Annotated[Rate, Tag("one")] | Annotated[_Rates, Tag("several")], Discriminator(_tag)
]
NameOrNames = Annotated[
    Annotated[str, Tag("one")] | Annotated[_Names, Tag("several")], Discriminator(_tag)
]

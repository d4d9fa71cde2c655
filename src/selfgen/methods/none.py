"""The base model as it came."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from selfgen.methods.base import Method


class Untouched(Method):
    """The base model as it came."""

    mix: Literal["none"] = Field(description="No training.")


METHOD = Untouched

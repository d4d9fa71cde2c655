"""Supervised fine-tuning on the references (teacher forcing)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from selfgen.methods.base import Method, Rounds, comparable
from selfgen.mixing.mix import References


class PlainRows(References):
    """Teacher forcing."""

    mix: Literal["plain"] = Field(description="Reference context, reference labels.")


class Plain(PlainRows, Rounds):
    """Supervised fine-tuning on the references (teacher forcing)."""

    match_wall_time: str | None = Field(
        default=None,
        description="A method of the same stage: train as long as its pass and its"
        " training took together. The number of steps then depends on the machine.",
    )

    mixed_by = PlainRows
    whole_rows = True
    on_dialogues: ClassVar[Mapping[str, Any] | None] = {
        "rounds": 1,
        "match_wall_time": None,
    }

    @property
    def plain(self) -> bool:
        return self.match_wall_time is None

    def others(self) -> dict[str, str]:
        other = self.match_wall_time
        return super().others() | ({"match_wall_time": other} if other else {})

    def check(self, methods: Mapping[str, Method]) -> None:
        if other := self.match_wall_time:
            comparable(self, "match_wall_time", other, methods, takes_longer=True)
            if self.rounds > 1:
                raise ValueError("rounds: allowed with match_wall_time: 1")

    def takes_time_of(self) -> str | None:
        return self.match_wall_time


METHOD = Plain

"""A mixing function of one's own: docs/own-method.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from selfgen.core import own_code
from selfgen.core.types import Share
from selfgen.generation.spec import Drawing, Sampled
from selfgen.methods.base import Trained
from selfgen.mixing.mix import Mix, Mixing, Records
from selfgen.mixing.rows import Fields
from selfgen.training.spec import Own


class CustomRows(Mix):
    """Rows made by a function of the user's."""

    mix: Literal["custom"] = Field(description="Rows made by a function of yours.")
    function: str = Field(
        pattern=r"^[^:]+\.py:\w+$",
        description="`FILE.py:NAME`; the file is found from the repository's root.",
    )
    reads: Literal["nothing", "forced", "onepass", "free"] = Field(
        default="nothing", description="The pass whose tokens or texts it is given."
    )

    @property
    def reads_pass(self) -> bool:
        return self.reads != "nothing"

    def more(self, records: Records, passes: Records, root: Path) -> dict[str, Any]:
        return {"function": own_code.function(self.function, "function", root)}

    def make(self, mixing: Mixing, i: int, epoch: int) -> Sequence[Fields]:
        raise ValueError("mix: custom needs its function")


class Custom(CustomRows, Own, Sampled, Trained):
    """A mixing function of one's own, and a loss; see docs/own-method.md."""

    beta: Share = Field(
        default=1.0, description="Share of own tokens in a `forced` or `onepass` pass."
    )

    mixed_by = CustomRows
    loss = "own"
    in_memory = False

    def own_code(self) -> dict[str, str]:
        return super().own_code() | {"function": self.function}

    def drawing(self, number: int) -> Drawing | None:
        if not self.reads_pass:
            return None
        beta = 0.0 if self.reads == "free" else self.beta
        return Drawing(kind=self.reads, sampling=self.sampling, beta=beta)


METHOD = Custom

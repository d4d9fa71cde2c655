"""A mixing function of one's own: docs/own-method.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from selfgen.core import own_code
from selfgen.core.errors import UserError
from selfgen.core.types import Share
from selfgen.generation.spec import Drawing, Sampled
from selfgen.methods.base import Trained
from selfgen.mixing.mix import MakeRows, Mix, Mixing, Records
from selfgen.mixing.rows import Fields


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
        return {"function": load_function(f"{root / self.function}")}

    def make(self, mixing: Mixing, i: int, epoch: int) -> Sequence[Fields]:
        raise ValueError("mix: custom needs its function")


def load_function(address: str) -> MakeRows:
    """The function ``FILE.py:NAME``: code of the user's own."""
    path, _, name = address.rpartition(":")
    module = own_code.load(Path(path), "function")
    if not callable(getattr(module, name, None)):
        raise UserError(f"function: {path} has no function {name}")
    return getattr(module, name)


class Custom(CustomRows, Sampled, Trained):
    """A mixing function of one's own; see docs/own-method.md."""

    beta: Share = Field(
        default=1.0, description="Share of own tokens in a `forced` or `onepass` pass."
    )

    mixed_by = CustomRows
    in_memory = False

    def own_files(self) -> dict[str, str]:
        return {"function": self.function.rpartition(":")[0]}

    def drawing(self, number: int) -> Drawing | None:
        if not self.reads_pass:
            return None
        beta = 0.0 if self.reads == "free" else self.beta
        return Drawing(kind=self.reads, sampling=self.sampling, beta=beta)


METHOD = Custom

"""Numbers that results are held against, and what is known of each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from selfgen.core.names import TEXT, Text, is_text
from selfgen.core.types import Count, Keys, Number


class Value(Keys):
    """A number that somebody measured, and where ours of the same kind would stand."""

    what: Text = Field(description="What it is, for a reader.")
    kind: Literal["paper-secondary", "codebase-anchor"] = Field(
        description="How far it may be trusted; the first kind needs a `caveat`."
    )
    value: Number = Field(description="As the table has it: shares of 1.")
    sd: Annotated[Number, Field(ge=0)] = Field(
        default=0.0, description="Its standard deviation over seeds."
    )
    seeds: Count = Field(default=1, description="Seeds that it is the mean of.")
    n: Count | None = Field(
        default=None,
        description="Items that it is a share of; none where it is no share.",
    )
    table: str | None = Field(
        description="The table that would have ours, without its ending; null: none has."
    )
    columns: list[str] = Field(
        default=[], description="Its columns of the number and of its interval's ends."
    )
    row: dict[str, str] = Field(description="The row: texts by column.")
    scale: str = Field(description="Where alone it can be compared.")
    judge: Text | None = Field(default=None, description="Who decided.")
    source: Text = Field(description="Where it is from.")
    caveat: str = Field(default="", description="What must be said beside it.")

    @model_validator(mode="after")
    def _sound(self) -> Value:
        if self.table and len(self.columns) != 3:
            raise ValueError(f"columns: found {self.columns}, allowed: three names")
        if self.kind == "paper-secondary" and not self.caveat:
            raise ValueError("caveat: found none, which 'paper-secondary' needs")
        if self.caveat and not is_text(self.caveat):
            raise ValueError(f"caveat: found {self.caveat!r:.80}, allowed: {TEXT}")
        return self


class Values(Keys):
    """The file."""

    values: list[Value] = Field(min_length=1, description="All of them.")

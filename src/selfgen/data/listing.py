"""What was fetched of a repository of the Hugging Face hub, read as data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from selfgen.core.errors import UserError

MODEL_FILES = (
    "config.json",
    "generation_config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)
"""What is fetched of a model: no code, and weights as safetensors only."""


def folder_of(listing: Path) -> Path:
    """Where the files of a listing are: the folder of its name, beside it."""
    return listing.with_suffix("")


def read(listing: Path) -> dict[str, Path]:
    """The files of a listing by their path in the repository.

    Raises UserError: it is no listing, or a file is missing or has another size.
    """
    try:
        files = json.loads(listing.read_text(encoding="utf-8"))["files"]
        sizes = {name: file["bytes"] for name, file in files.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{listing}: no listing of fetched files: {error}") from None
    paths = {name: folder_of(listing) / name for name in sizes}
    for name, path in paths.items():
        if not path.is_file() or path.stat().st_size != sizes[name]:
            raise UserError(
                f"{path}: missing or not of {sizes[name]} bytes; delete {listing.name}"
                " beside its folder to fetch it again"
            )
    return paths


def singles(files: Mapping[str, Path]) -> dict[str, Path]:
    """Files by name, with the only file of a listing in its place.

    Raises UserError: as ``read``, or a listing of several files.
    """
    found = {}
    for name, path in files.items():
        listed = list(read(path).values()) if path.suffix == ".listing" else [path]
        if len(listed) != 1:
            raise UserError(f"{path}: found {len(listed)} files, allowed: one")
        found[name] = listed[0]
    return found

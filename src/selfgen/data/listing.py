"""What was fetched of a repository of the Hugging Face hub, read as data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from selfgen.core import manifests
from selfgen.core.errors import UserError
from selfgen.core.provenance import sha256

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

    Raises UserError: it is no listing, or a file is missing or has another hash.
    """
    cure = f"delete {listing.name}; what is whole is kept then, the rest fetched again"
    files = manifests.read(listing, cure)["files"]
    paths = {name: folder_of(listing) / name for name in files}
    for name, path in paths.items():
        found = sha256(path) if path.is_file() else "no file"
        if found != (listed := files[name]["sha256"]):
            raise UserError(
                f"{path}: found sha256 {found[:12]}, {listing.name} says {listed[:12]};"
                f" {cure}"
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

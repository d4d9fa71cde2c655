"""Whether the files that a step reads are those that were made, or pinned, for it."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

from selfgen.core.errors import UserError
from selfgen.core.provenance import sha256


def checked(
    inputs: Mapping[str, tuple[Path, ...]], pins: Mapping[str, str]
) -> dict[str, str]:
    """Content hashes by name, numbered where an input is several files. A pin that is no
    SHA-256 (a commit, a path) says nothing.

    Raises UserError: a file is missing, was changed since it was made, or is another
    download than the one that is pinned.
    """
    hashes = {}
    for name, paths in inputs.items():
        for number, path in enumerate(paths):
            key = name if len(paths) == 1 else f"{name} {number}"
            hashes[key] = _unchanged(path)
            pin = pins.get(name, "")
            if re.fullmatch("[0-9a-f]{64}", pin) and pin != hashes[key]:
                raise UserError(
                    f"{path}: found sha256 {hashes[key][:12]}, pinned is {pin[:12]};"
                    " delete it, and it is fetched anew"
                )
    return hashes


def _unchanged(path: Path) -> str:
    """The content hash of a file or folder.

    Raises UserError: another step made it, and since then it was changed by hand or lost a
    part: the manifest beside it names another hash.
    """
    if not path.exists():
        raise UserError(f"{path}: this file is missing")
    digest = sha256(path)
    name = path.name.removesuffix(".parquet")
    for manifest in (path.with_name(f"{name}.json"), path.with_name("manifest.json")):
        known = None
        with contextlib.suppress(OSError, ValueError, AttributeError):
            text = manifest.read_text(encoding="utf-8")
            known = json.loads(text).get("outputs", {}).get(path.name)
        if isinstance(known, str) and known != digest:
            raise UserError(
                f"{path}: changed since it was made: found {digest[:12]}, but"
                f" {manifest} says {known[:12]}; delete it, and it is made anew"
            )
    return digest

"""Folders of state that are kept for later: beside their files lie the files' hashes, so that
what was damaged on the disk is not read."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from selfgen.core.provenance import sha256

SEAL = "sha256.json"


def seal(folder: Path) -> None:
    """Write the hashes of all files in a folder beside them."""
    (folder / SEAL).write_text(json.dumps(_hashes(folder), indent=1))


def damage(folder: Path) -> str | None:
    """What is not as it was when the folder was sealed, in words; None where all is."""
    try:
        written = dict(json.loads((folder / SEAL).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return f"{SEAL} is missing"
    except (TypeError, ValueError):
        return f"{SEAL} cannot be read"
    found = _hashes(folder)
    for name in sorted(written.keys() | found.keys()):
        if name not in found:
            return f"{name} is missing"
        if found[name] != written.get(name):
            return f"{name} has the hash {found[name]}, written was {written.get(name)}"
    return None


def _hashes(folder: Path) -> dict[str, str]:
    """By name. Side by side, for the state of large models is many large files."""
    names = {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file()}
    names.pop(SEAL, None)
    with ThreadPoolExecutor() as pool:
        return dict(zip(names, pool.map(sha256, names.values()), strict=True))

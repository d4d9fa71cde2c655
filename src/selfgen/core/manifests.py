"""Manifests: what made the outputs of a step, and the hash of each.

A manifest lies beside what it vouches for: ``x.json`` for ``x.parquet`` and for a folder
``x``; ``manifest.json`` for all of a folder; ``manifests/x.json`` for ``x.md`` and ``x.csv``.
It ends with a digest of itself, so that it is held against its own words, too.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from selfgen.core import memory
from selfgen.core.errors import UserError
from selfgen.core.provenance import sha256, write_json

REPORTED = (
    "torch",
    "transformers",
    "tokenizers",
    "accelerate",
    "datasets",
    "peft",
    "numpy",
)
"""Packages that decide results."""

DIGEST = "digest"
"""The key under which a file says what the rest of it hashes to."""


def versions() -> dict[str, str]:
    """The installed versions of the packages that decide results."""
    installed = {}
    for package in REPORTED:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            installed[package] = importlib.metadata.version(package)
    return installed


def write(
    path: Path,
    rule: str,
    spec: str,
    inputs: Mapping[str, str],
    code: str,
    outputs: Iterable[Path],
    facts: Mapping[str, Any],
) -> None:
    """Say what made some outputs: the rule, its spec, the inputs' hashes, the code, the
    machine and the facts; facts of these names stand in their place."""
    manifest = {
        "rule": rule,
        "spec": json.loads(spec),
        "inputs": dict(sorted(inputs.items())),
        "code": code,
        "python": platform.python_version(),
        "packages": versions(),
        "machine": machine(),
        "outputs": {path.name: sha256(path) for path in outputs},
        **facts,
    }
    write_json(path, signed(manifest))


@functools.cache
def machine() -> dict[str, Any]:
    """What a job ran on."""
    cpu = platform.processor()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        named = (
            x.partition(":")[2].strip() for x in lines if x.startswith("model name")
        )
        cpu = next(named, cpu)
    return {
        "system": platform.system(),
        "cpus": os.cpu_count(),
        "cpu": cpu,
        "memory_gb": round(memory.total() / 1e9),
    }


def signed(value: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object with a digest of itself."""
    written = json.loads(json.dumps(value))  # keys that are numbers are sorted as texts
    return {**written, DIGEST: _digest(written)}


def _digest(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


ANEW = "delete it and what it tells of, and they are made anew"


def read(path: Path, cure: str = ANEW) -> dict[str, Any]:
    """What ``signed`` wrote.

    Raises UserError: it is missing, no JSON object, or its content is not what it says of
    itself; ``cure``: what to do then.
    """
    try:
        value = json.loads(path.read_bytes())
        said = value.pop(DIGEST)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; {cure}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(
            f"{path}: found no JSON with a digest of itself: damaged, or of an earlier"
            f" version; {cure}"
        ) from None
    if said != (digest := _digest(value)):
        rule = value.get("rule", "a step")
        raise UserError(
            f"{path}: changed since {rule} wrote it: its content is {digest[:12]}, it"
            f" says {str(said)[:12]}; {cure}"
        )
    return dict(value)


def held(path: Path, made: bool) -> str:
    """The content hash of a file or folder that is as its manifest says. ``made``: by a step,
    so that there must be a manifest that names it, or it must be one; of another file one
    beside it is believed where there is one.

    Raises UserError: it is missing, or not what its manifest says, or has none.
    """
    if not path.exists():
        raise UserError(f"{path}: this file is missing")
    digest = sha256(path)
    if place := _of(path, made):
        # Weights of another run, say, which nothing here makes anew.
        yours = f"bring {path.name} back as it was, or move {place} away if it is right"
        manifest = read(place, ANEW if made else yours)
        if (known := manifest["outputs"][path.name]) != digest:
            raise UserError(
                f"{path}: changed since {manifest['rule']} made it: found sha256"
                f" {digest[:12]}, but {place} says {str(known)[:12]};"
                f" {'delete it, and it is made anew' if made else yours}"
            )
    elif made and path.suffix != ".json":
        raise UserError(
            f"{path}: no manifest beside it says what it must be; delete it, and it is"
            " made anew"
        )
    elif made:
        read(path)
    return digest


def _of(path: Path, made: bool) -> Path | None:
    """The manifest that names a file or folder among its outputs; what cannot be read may be
    that of a file that was made, and ``read`` says what is wrong with it."""
    stem = path.name if path.is_dir() else path.stem
    for name in (f"manifests/{stem}.json", "manifest.json", f"{stem}.json"):
        place = path.parent / name
        if place != path and place.is_file():
            try:
                if path.name in json.loads(place.read_bytes()).get("outputs", {}):
                    return place
            except (ValueError, TypeError, AttributeError, RecursionError):
                if made:
                    return place
    return None


def checked(
    inputs: Mapping[str, tuple[Path, ...]],
    made: Collection[str],
    pins: Mapping[str, str],
) -> dict[str, str]:
    """Content hashes by name, numbered where an input is several files. ``made``: names of
    those that steps made; ``pins``: hashes of those that are pinned.

    Raises UserError: a file is missing, was changed since it was made, or is another
    download than the one that is pinned.
    """
    hashes = {}
    for name, paths in inputs.items():
        for number, path in enumerate(paths):
            key = name if len(paths) == 1 else f"{name} {number}"
            hashes[key] = held(path, name in made)
            if (pin := pins.get(name)) not in (None, hashes[key]):
                raise UserError(
                    f"{path}: found sha256 {hashes[key][:12]}, pinned is {pin[:12]};"
                    " delete it, and it is fetched anew"
                )
    return hashes

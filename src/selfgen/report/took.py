"""What a finished run took: time, disk and download, of its manifests and its folders."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfgen.core.provenance import sha256
from selfgen.core.spec import from_json
from selfgen.report.tables.cost import busy_seconds

FILE = "run.json"
"""Where it stands in a shipped run."""

PAUSE = 60.0
"""Seconds without a job, from which on it is no start of one but a pause."""


@dataclass(frozen=True)
class Took:
    """``seconds`` of wall time in which at least one of the ``jobs`` ran or started, on a
    machine of ``cpus`` (None: several machines); bytes of ``results`` and of ``downloads``,
    None where only manifests are at hand."""

    jobs: int
    seconds: float
    cpus: int | None
    results: int | None = None
    downloads: int | None = None


def took(results: Path, resources: Path) -> Took:
    """Of a folder of results, and the folder that its downloads are in.

    A download counts where a manifest names its hash among the inputs; a listing of a hub
    counts with the files that it names. What other runs fetched does not count.
    """
    files = [path for path in results.rglob("*") if path.is_file()]
    found = manifests_of(files)
    read = {digest for manifest in found for digest in manifest["inputs"].values()}
    downloads = sum(
        _size(path)
        for path in resources.glob("*/*")
        if path.is_file() and sha256(path) in read
    )
    return of_manifests(found, sum(p.stat().st_size for p in files), downloads)


def of_manifests(
    manifests: Iterable[Mapping[str, Any]],
    results: int | None = None,
    downloads: int | None = None,
) -> Took:
    """Of manifests alone, and of bytes that are known."""
    import pandas as pd

    frame = pd.DataFrame(
        [(m["started_at"], m["wall_seconds"], m["machine"]["cpus"]) for m in manifests],
        columns=["started_at", "wall_seconds", "cpus"],
    )
    cpus = frame["cpus"].unique()
    return Took(
        jobs=len(frame),
        seconds=round(busy_seconds(frame, PAUSE), 1),
        cpus=int(cpus[0]) if len(cpus) == 1 else None,
        results=results,
        downloads=downloads,
    )


def manifests_of(files: Iterable[Path]) -> list[dict[str, Any]]:
    """The manifests of jobs among some files."""
    return [value for path in files if (value := _manifest(path))]


def read(folder: Path) -> Took:
    """What a shipped run took."""
    return from_json(Took, (folder / FILE).read_text(encoding="utf-8"))


def _manifest(path: Path) -> dict[str, Any] | None:
    """The manifest of a job, if the file is one."""
    try:
        value = json.loads(path.read_bytes()) if path.suffix == ".json" else None
    except ValueError:
        return None
    timed = isinstance(value, dict) and {"rule", "started_at", "inputs"} <= set(value)
    return value if timed else None


def _size(path: Path) -> int:
    """Bytes of a download; of a listing, those of the files that it names."""
    size = path.stat().st_size
    if path.suffix == ".listing":
        files = json.loads(path.read_bytes())["files"]
        size += sum(int(file["bytes"]) for file in files.values())
    return size

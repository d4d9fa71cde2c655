"""The page of a run's measurements, as a step of the workflow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.core import manifests
from selfgen.core.rows import read_rows
from selfgen.measures.spec import Check, PageSpec
from selfgen.report.measured.found import Found

if TYPE_CHECKING:
    from selfgen.measures.base import Row
    from selfgen.runtime.job import Job


def found(spec: PageSpec, files: Sequence[Path]) -> Found:
    """What was found of the methods of a task, from the rows of each and from the manifests
    beside them, of shipped rows without."""
    rows: dict[str, dict[int, dict[str, Row]]] = {}
    for method, seed, path in zip(spec.methods, spec.seeds, files, strict=True):
        rows.setdefault(method, {})[seed] = {row["id"]: row for row in read_rows(path)}
    seen: dict[str, list[Check]] = {}
    for method, seed, path in zip(spec.methods, spec.seeds, files, strict=True):
        manifest = path.with_suffix(".json")
        told = manifests.read(manifest)["checks"] if manifest.is_file() else []
        of = f", seed {seed}" if len(rows[method]) > 1 else ""
        checks = [Check(**one | {"name": one["name"] + of}) for one in told]
        if checks:
            seen.setdefault(method, []).extend(checks)
    about = {**spec.about, "task": spec.dataset}
    return Found(rows, seen, about, spec.confidence, spec.lengths)


def step(spec: PageSpec, job: Job) -> dict[str, Any]:
    """The page; outputs: ``Found.texts``."""
    job.write(found(spec, job.paths("read")).texts())
    return {}

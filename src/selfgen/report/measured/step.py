"""The page of a run's measurements, as a step of the workflow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.core.rows import read_rows
from selfgen.measures.spec import PageSpec
from selfgen.report.measured.found import Found

if TYPE_CHECKING:
    from selfgen.measures.base import Row
    from selfgen.runtime.job import Job


def found(spec: PageSpec, files: Sequence[Path]) -> Found:
    """What was found of the methods of a task. Models of a run are not looked through for
    bugs: its rows, prompts and ends are of one make."""
    rows: dict[str, dict[int, dict[str, Row]]] = {}
    for method, seed, path in zip(spec.methods, spec.seeds, files, strict=True):
        rows.setdefault(method, {})[seed] = {row["id"]: row for row in read_rows(path)}
    return Found(rows, {}, {**spec.about, "data": spec.dataset}, spec.confidence)


def step(spec: PageSpec, job: Job) -> dict[str, Any]:
    """The page; outputs: ``Found.texts``."""
    job.write(found(spec, job.paths("read")).texts())
    return {}

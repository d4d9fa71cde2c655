"""Draws one table of the registry, from its files and its spec alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.core.spec import to_json
from selfgen.report.registry import all_tables, draw, with_baselines
from selfgen.report.spec import TableSpec

if TYPE_CHECKING:
    from selfgen.runtime.job import Job

KINDS = ("md", "tex", "csv", "json")
"""Endings of a table's files; the last is the spec that it was drawn with."""


def texts(spec: TableSpec[Any], inputs: Mapping[str, Sequence[Path]]) -> dict[str, str]:
    """The files of a table, by their endings: ``KINDS``."""
    spec = with_baselines(spec, inputs)
    drawn = draw(all_tables(), spec, inputs)
    return drawn.texts() | {"json": to_json(spec) + "\n"}


def step(spec: TableSpec[Any], job: Job) -> dict[str, Any]:
    """One table; outputs: ``KINDS``."""
    job.write(texts(spec, job.inputs))
    return {}

"""Draws one figure, from its files and its spec alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.report.figures import FIGURES
from selfgen.report.registry import draw, with_baselines
from selfgen.report.spec import TableSpec
from selfgen.report.style import KINDS, render

if TYPE_CHECKING:
    from selfgen.runtime.job import Job


def images(
    spec: TableSpec[Any], inputs: Mapping[str, Sequence[Path]]
) -> dict[str, bytes]:
    """The files of a figure, by their endings: ``KINDS``."""
    figure = draw(FIGURES, with_baselines(spec, inputs), inputs)
    return {kind: render(figure, kind) for kind in KINDS}


def step(spec: TableSpec[Any], job: Job) -> dict[str, Any]:
    """One figure; outputs: ``KINDS``."""
    job.write(images(spec, job.inputs))
    return {}

"""The best of some candidates by their scores on the validation split."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from selfgen.core import ties
from selfgen.core.choices import Choice, Point, written
from selfgen.core.errors import UserError
from selfgen.core.rows import read_frame
from selfgen.core.spec import Checked
from selfgen.core.types import Count

if TYPE_CHECKING:
    import pandas

    from selfgen.runtime.job import Job

SPLIT = "validation"


@dataclass(frozen=True)
class Candidate(Checked):
    """What may be chosen: its name, and how many files of scores it has, one a seed."""

    name: str
    seeds: Count = 1


@dataclass(frozen=True)
class ChoiceSpec(Checked):
    """The column of scores by which is chosen, and the candidates: of equal ones the first is
    taken."""

    metric: str
    candidates: tuple[Candidate, ...]


def measured(spec: ChoiceSpec, frames: Sequence[pandas.DataFrame]) -> tuple[Point, ...]:
    """The candidates with their means; ``frames``: the scores of each under each of its
    seeds, as ``evaluation.scores.score`` makes them.

    Raises UserError: scores of no prompt, of another split than validation, of other prompts
    than those of the first candidate, or none of the metric.
    """
    if len(frames) != (files := sum(one.seeds for one in spec.candidates)):
        raise UserError(f"scores: found {len(frames)} files, allowed: {files}")
    left, points = list(frames), []
    prompts: set[str] = set()
    for candidate in spec.candidates:
        own, left = left[: candidate.seeds], left[candidate.seeds :]
        values: list[float] = []
        for frame in own:
            prompts = prompts or set(frame["id"])
            _check(candidate.name, frame, spec.metric, prompts)
            values += map(float, frame[spec.metric])
        mean = math.fsum(values) / len(values)
        points.append(Point(candidate.name, mean, len(prompts), candidate.seeds))
    return tuple(points)


def _check(name: str, frame: pandas.DataFrame, metric: str, prompts: set[str]) -> None:
    splits = sorted(set(frame["split"]))
    if splits != [SPLIT]:
        found = ", ".join(map(str, splits)) or "none"
        raise UserError(f"scores of {name}: found the split {found}, allowed: {SPLIT}")
    if set(frame["id"]) != prompts or len(frame) != len(prompts):
        raise UserError(
            f"scores of {name}: found other prompts than those of the first candidate"
        )
    if metric not in frame or not frame[metric].map(math.isfinite).all():
        raise UserError(
            f"scores of {name}: found prompts without {metric}, by which is chosen"
        )


def best(points: Sequence[Point]) -> str:
    """The name of the highest mean; of those that equal it (``core.ties``) the first."""
    top = max(point.mean for point in points)
    return next(point.name for point in points if ties.equal(point.mean, top))


def step(spec: ChoiceSpec, job: Job) -> dict[str, Any]:
    """The choice, as JSON."""
    points = measured(spec, [read_frame(path) for path in job.paths("scores")])
    job.write({"choice": written(Choice(spec.metric, points, best(points)))})
    return {}

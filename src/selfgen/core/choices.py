"""The file of a choice that was made on validation, as it is written and read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Point:
    """A candidate: the mean score of its ``seeds`` on ``n`` prompts."""

    name: str
    mean: float
    n: int
    seeds: int


@dataclass(frozen=True)
class Choice:
    """What was chosen, by which metric, and from which candidates."""

    metric: str
    candidates: tuple[Point, ...]
    chosen: str


def written(choice: Choice) -> str:
    """A choice as JSON."""
    return json.dumps(asdict(choice), indent=1) + "\n"


def read(path: Path) -> Choice:
    """The choice in a file that ``written`` made."""
    value = json.loads(path.read_text(encoding="utf-8"))
    points = tuple(Point(**point) for point in value["candidates"])
    return Choice(value["metric"], points, value["chosen"])

"""Experiment trackers, by ``accelerate``: TensorBoard, Weights & Biases, MLflow, Trackio, ...

They show the training curve while it is drawn, to those who have one. What they are told is
what stands in the curve; nothing is read from them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfgen.core.errors import UserError
from selfgen.core.spec import to_json

PROJECT = "selfgen"
"""The project, or experiment, that the runs of a tracker are in."""


@dataclass(frozen=True)
class Trackers:
    """Trackers by their names in ``accelerate``; ``run``: what this training is called
    there; ``folder``: of those that write files."""

    names: Sequence[str] = ()
    run: str = PROJECT
    folder: Path = Path("logs/trackers")

    def arguments(self) -> dict[str, Any]:
        """Of ``Accelerator``.

        Raises UserError: an unknown tracker, or one that is not installed.
        """
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers

        if not self.names:
            return {}
        installed = [str(name) for name in get_available_trackers()]
        for name in self.names:
            if name not in installed:
                here = ", ".join(installed) or "none"
                known = ", ".join(map(str, LOGGER_TYPE_TO_CLASS))
                raise UserError(
                    f"report_to: found {name!r}, allowed: what is installed ({here}) of"
                    f" {known}"
                )
        folder = self.folder / self.run.replace(" ", "/")
        return {"log_with": [*self.names], "project_dir": folder}

    def begin(self, accelerator: Any, spec: Any) -> None:
        """Start a run of each tracker, with the keys of a training."""
        if not self.names:
            return
        own = {"wandb": "name", "trackio": "name", "mlflow": "run_name"}
        named = {name: {own[name]: self.run} for name in self.names if name in own}
        accelerator.init_trackers(
            PROJECT, dict(_flat(json.loads(to_json(spec)))), named
        )

    def log(self, accelerator: Any, point: Mapping[str, float]) -> None:
        """A point of the curve."""
        if not self.names:
            return
        values = {f"train/{key}": point[key] for key in point if key != "step"}
        accelerator.log(values, step=int(point["step"]))

    def end(self, accelerator: Any) -> None:
        """The process group goes on, unlike after ``accelerator.end_training``."""
        for tracker in accelerator.trackers if self.names else ():
            tracker.finish()


NO_TRACKERS = Trackers()


def _flat(value: Any, name: str = "") -> list[tuple[str, Any]]:
    """Keys with dots, and values that every tracker takes."""
    if isinstance(value, Mapping):
        pairs = (
            (f"{name}.{key}" if name else key, part) for key, part in value.items()
        )
        return [item for key, part in pairs for item in _flat(part, key)]
    plain = isinstance(value, bool | int | float | str)
    return [(name, value if plain else str(value))]

"""What a training has done so far, and its resumable state on disk."""

from __future__ import annotations

import json
import logging
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selfgen.training.batches import TrainingRow, labelled

log = logging.getLogger(__name__)


@dataclass
class Outcome:
    """What a run did: the curve and the totals that the tables report."""

    steps: int = 0
    labelled_tokens: int = 0
    forwarded_tokens: int = 0
    seconds: float = 0.0
    device: str = ""
    precision: str = ""
    read: str = ""
    """How rows were read (``models.probe``)."""

    processes: int = 1
    sharded: bool = False
    curve: list[dict[str, float]] = field(default_factory=list)

    def add(
        self,
        point: dict[str, float],
        rows: list[TrainingRow],
        forwarded: int,
        seconds: float,
    ) -> None:
        """Count a step of these rows, whose entry in the curve is ``point``."""
        self.steps += 1
        self.labelled_tokens += labelled(rows)
        self.forwarded_tokens += forwarded
        self.seconds += seconds
        speed = round(forwarded / seconds, 1)
        self.curve.append(point | {"tokens_per_second": speed})


class Checkpoints:
    """Resumable state in a scratch folder: complete or absent, the newest only."""

    def __init__(self, accelerator: Any, folder: Path | None, minutes: float) -> None:
        self.accelerator = accelerator
        self.folder = folder
        self.seconds = minutes * 60
        self.last = time.monotonic()

    def restore(self) -> Outcome | None:
        """Load the newest complete checkpoint; None where there is none."""
        saved = sorted(self.folder.glob("step-*")) if self.folder else []
        saved = [path for path in saved if path.suffix != ".tmp"]
        if not saved:
            return None
        self.accelerator.load_state(str(saved[-1]))
        outcome = Outcome(**json.loads((saved[-1] / "outcome.json").read_text()))
        log.info("resumed after step %d", outcome.steps)
        return outcome

    def save(self, outcome: Outcome) -> None:
        """Write a checkpoint if the last one is old enough."""
        if not self.folder or not self._is_due():
            return
        final = self.folder / f"step-{outcome.steps:08d}"
        partial = final.with_suffix(".tmp")
        main = self.accelerator.is_main_process
        if main:
            self.folder.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(partial, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        self.accelerator.save_state(str(partial))
        self.accelerator.wait_for_everyone()
        if main:
            (partial / "outcome.json").write_text(json.dumps(outcome.__dict__))
            partial.rename(final)
            for old in self.folder.glob("step-*"):
                if old != final:
                    shutil.rmtree(old, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        self.last = time.monotonic()

    def _is_due(self) -> bool:
        """Whether the last one is old enough, by the clock of the first process."""
        from accelerate.utils import broadcast_object_list

        due = [time.monotonic() - self.last >= self.seconds]
        return broadcast_object_list(due)[0]

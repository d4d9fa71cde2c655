"""What a training has done so far, and its resumable state on disk."""

from __future__ import annotations

import json
import logging
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selfgen.core.errors import UserError
from selfgen.core.sealed import damage, seal
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
    drawing: dict[str, float] = field(default_factory=dict)
    """What was drawn while training, and in which time (``LabelLoss.spent``): by the names
    that a pass has for it."""

    @property
    def facts(self) -> dict[str, Any]:
        """All but the curve, as a manifest has it."""
        own = {k: v for k, v in vars(self).items() if k not in ("curve", "drawing")}
        return own | self.drawing

    def add(
        self,
        point: dict[str, float],
        rows: list[TrainingRow],
        forwarded: int,
        seconds: float,
        drawing: dict[str, float],
    ) -> None:
        """Count a step of these rows, whose entry in the curve is ``point``; ``seconds``:
        without those of ``drawing``."""
        for name, value in drawing.items():
            self.drawing[name] = self.drawing.get(name, 0) + value
        self.steps += 1
        self.labelled_tokens += labelled(rows)
        self.forwarded_tokens += forwarded
        self.seconds += seconds
        speed = round(forwarded / seconds, 1)
        self.curve.append(point | {"tokens_per_second": speed})


class Checkpoints:
    """Resumable state in a scratch folder: complete or absent, the two newest.

    The one before the newest is there for the case that the newest is damaged on the disk. It
    goes before another is written, so that no more than two ever need room.

    ``spec``: of the training, as JSON; the state of another is refused.
    """

    def __init__(
        self, accelerator: Any, folder: Path | None, minutes: float, spec: str
    ) -> None:
        self.accelerator = accelerator
        self.folder = folder
        self.seconds = minutes * 60
        self.spec = spec
        self.last = time.monotonic()

    def restore(self) -> Outcome | None:
        """Load the newest checkpoint that is as it was written; None where there is none.

        Raises UserError: it is of another spec.
        """
        from accelerate.utils import broadcast_object_list

        main = self.accelerator.is_main_process
        (path,) = broadcast_object_list([self._newest() if main else None])
        if path is None:
            return None
        state = json.loads((path / "outcome.json").read_text())
        if state["spec"] != self.spec:
            raise UserError(
                f"{self.folder}: found the state of a training with another spec;"
                " allowed: a folder of its own for each"
            )
        self.accelerator.load_state(str(path))
        outcome = Outcome(**state["outcome"])
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
            for old in {*self.folder.glob("step-*")} - {*self._saved()[-1:]}:
                shutil.rmtree(old)
        self.accelerator.wait_for_everyone()
        self.accelerator.save_state(str(partial))
        self.accelerator.wait_for_everyone()
        if main:
            state = {"spec": self.spec, "outcome": vars(outcome)}
            (partial / "outcome.json").write_text(json.dumps(state))
            seal(partial)
            partial.rename(final)
        self.accelerator.wait_for_everyone()
        self.last = time.monotonic()

    def _saved(self) -> list[Path]:
        """The complete checkpoints, the newest last."""
        found = sorted(self.folder.glob("step-*")) if self.folder else []
        return [path for path in found if path.suffix != ".tmp"]

    def _newest(self) -> Path | None:
        """The newest checkpoint that is as it was written; damaged ones are removed."""
        saved = self._saved()
        while saved:
            found = damage(saved[-1])
            if found is None:
                return saved[-1]
            log.warning(
                "the checkpoint %s is damaged: %s; %s",
                saved[-1],
                found,
                f"going back to {saved[-2].name}" if saved[1:] else "starting anew",
            )
            shutil.rmtree(saved.pop())
        return None

    def _is_due(self) -> bool:
        """Whether the last one is old enough, by the clock of the first process."""
        from accelerate.utils import broadcast_object_list

        due = [time.monotonic() - self.last >= self.seconds]
        return broadcast_object_list(due)[0]

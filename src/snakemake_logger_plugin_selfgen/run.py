"""What is known of a run while it goes on: its jobs, and what they say of themselves.

It is kept in a small file as well, which a second terminal reads (``selfgen status``).
"""

from __future__ import annotations

import json
import os
import platform
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snakemake_logger_plugin_selfgen.estimate import Estimate

PLACE = Path(".snakemake") / "selfgen-status.json"
"""In the folder of a run."""

TAIL = 4096
"""Bytes of a log in which its last line is looked for."""

_PROGRESS = re.compile(r": (\w[\w ]* \d+ of \d+, .* left)$")
_ERROR = "error: "


@dataclass(frozen=True)
class Job:
    """A job of Snakemake. ``name``: its rule and wildcards, as in the job's own lines;
    ``began``: seconds since the epoch."""

    rule: str
    name: str
    logs: Sequence[str] = ()
    reason: str = ""
    began: float = 0.0

    def progress(self) -> str:
        """The last thing that it said of how far it is."""
        for line in reversed(_tail(self.logs)):
            if found := _PROGRESS.search(line):
                return found[1]
        return ""

    def failure(self, lines: int = 12) -> list[str]:
        """What it ended with: one line where it says what is wrong, or its last lines."""
        said = [line for line in _tail(self.logs, 4 * TAIL) if line.strip()]
        told = [line for line in said if line.startswith(_ERROR)]
        return told[-1:] or said[-lines:]


@dataclass
class Run:
    """The jobs of a run by Snakemake's numbers."""

    planned: dict[str, int]
    began: float = field(default_factory=time.time)
    running: dict[int, Job] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.estimate = Estimate(self.planned)

    @property
    def total(self) -> int:
        return sum(self.planned.values())

    def start(self, number: int, job: Job) -> None:
        self.running[number] = job
        self.estimate.start(number, job.rule, job.began)

    def finish(self, number: int, now: float) -> Job | None:
        self.estimate.finish(number, now)
        return self.running.pop(number, None)

    def fail(self, number: int) -> Job | None:
        self.estimate.running.pop(number, None)
        job = self.running.pop(number, None)
        if job:
            self.failed.append(job.name)
        return job

    def left(self, now: float) -> str:
        """``about 4 min left``, or nothing where that cannot be said yet."""
        seconds = self.estimate.left(now)
        if seconds is None or self.estimate.done == self.total:
            return ""
        return f"about {span(seconds)} left"

    def write(self, now: float, ended: bool = False) -> None:
        """The file that a second terminal reads."""
        status: dict[str, Any] = {
            **{"pid": os.getpid(), "host": platform.node(), "at": now, "ended": ended},
            **{"done": self.estimate.done, "total": self.total, "failed": self.failed},
            "left": self.left(now),
            "running": [vars(job) for job in self.running.values()],
        }
        partial = PLACE.with_suffix(".partial")
        partial.write_text(json.dumps(status))
        partial.replace(PLACE)


def span(seconds: float) -> str:
    """Some seconds, as people say them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _tail(logs: Sequence[str], size: int = TAIL) -> list[str]:
    """The last lines of a job's logs; none of a log that is not there."""
    for name in logs:
        try:
            with Path(name).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - size))
                text = file.read().decode(errors="replace")
        except OSError:
            continue
        return [line.rpartition("\r")[2] for line in text.splitlines()]
    return []

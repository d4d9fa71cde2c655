"""Progress of a step: its wall time, and lines with the time that is left."""

from __future__ import annotations

import logging
import time

log = logging.getLogger("selfgen")


class Progress:
    """Called with what is done and how much there is in all, it says how long is left.

    Lines go to stderr, that is to the rule's log, where the terminal's picture of a run finds
    the last one.
    A step that ``resumes`` reports one unit at a time, and may start at any of them.
    """

    def __init__(self, name: str, unit: str, *, resumes: bool = False) -> None:
        self.name, self.unit, self.resumes = name, unit, resumes
        self.started = self.last = time.perf_counter()
        self.done_at_start: int | None = None

    def __call__(self, done: int, total: int) -> None:
        now = time.perf_counter()
        if self.done_at_start is None:
            self.done_at_start = done - 1 if self.resumes else 0
        if now - self.last < 10 and done < total:
            return
        self.last = now
        pace = (now - self.started) / max(1, done - self.done_at_start)
        left = pace * (total - done)
        span = f"{left:.0f} s" if left < 90 else f"{left / 60:.0f} min"
        line = f"{self.name}: {self.unit} {done} of {total}, {span} left"
        log.info(line)

"""How long a whole run still takes.

It is assumed that a job takes as long as finished jobs of its rule did (of any rule, if there
is none yet), and that as many jobs run at a time as so far.
"""

from __future__ import annotations

FIRST = 0.2
"""No estimate before this share of the jobs is done: the first ones are mostly downloads."""


class Estimate:
    """What is planned, running and done, by rule; all times in seconds of one clock."""

    def __init__(self, planned: dict[str, int]) -> None:
        self.planned = planned
        self.began: float | None = None
        self.running: dict[int, tuple[str, float]] = {}
        self.lasted: dict[str, list[float]] = {}

    def start(self, job: int, rule: str, now: float) -> None:
        self.began = now if self.began is None else self.began
        self.running[job] = (rule, now)

    def finish(self, job: int, now: float) -> None:
        if job in self.running:
            rule, began = self.running.pop(job)
            self.lasted.setdefault(rule, []).append(now - began)

    @property
    def done(self) -> int:
        return sum(map(len, self.lasted.values()))

    def left(self, now: float) -> float | None:
        """Seconds until the end of the run; None at its start, and while a rule runs for
        the first time."""
        if self.began is None or self.done < FIRST * sum(self.planned.values()):
            return None
        if any(rule not in self.lasted for rule, _ in self.running.values()):
            return None
        anything = sum(sum(t) for t in self.lasted.values()) / self.done
        mean = {rule: sum(t) / len(t) for rule, t in self.lasted.items()}
        work = sum(
            (n - len(self.lasted.get(rule, []))) * mean.get(rule, anything)
            for rule, n in self.planned.items()
        )
        work -= sum(min(now - began, mean[r]) for r, began in self.running.values())
        busy = sum(sum(t) for t in self.lasted.values())
        busy += sum(now - began for _, began in self.running.values())
        side_by_side = max(1.0, busy / max(1e-9, now - self.began))
        return work / side_by_side

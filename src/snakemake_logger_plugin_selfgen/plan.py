"""What a dry run says: how many jobs of each rule, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from snakemake_logger_plugin_selfgen.run import Job

FEW = 20
"""So many jobs are named one by one."""

LONGEST = 160
"""Characters of a reason."""

_CUTS = (":", ",")


def lines(jobs: Sequence[Job]) -> Iterator[str]:
    """The plan of some jobs, in the order in which they would run."""
    if not jobs:
        return
    yield f"{len(jobs)} jobs would run:" if len(jobs) > 1 else "1 job would run:"
    if len(jobs) <= FEW:
        for job in jobs:
            yield f"  {job.name}"
            yield f"      {_short(job.reason)}"
        return
    counts = Counter(job.rule for job in jobs)
    width = max(map(len, counts))
    for rule, count in counts.items():
        kinds = Counter(_kind(job.reason) for job in jobs if job.rule == rule)
        why = ", ".join(
            kind if n == count else f"{kind} ({n})" for kind, n in kinds.most_common()
        )
        yield f"  {rule:{width}}  {count:4}  {why}"
    yield "each job with its files and command: -n -p"


def _kind(reason: str) -> str:
    """A reason without the files that it names."""
    for cut in _CUTS:
        reason = reason.partition(cut)[0]
    return reason.strip().lower() or "asked for"


def _short(reason: str) -> str:
    reason = " ".join(reason.split()) or "asked for"
    return reason if len(reason) <= LONGEST else f"{reason[: LONGEST - 2]} …"

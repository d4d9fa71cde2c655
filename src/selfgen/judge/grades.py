"""Grades of the answers to a benchmark, by a judge behind an endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from selfgen.benchmarks import JUDGED
from selfgen.core.rows import read_rows, write_rows
from selfgen.data.listing import singles
from selfgen.judge.client import judge_of
from selfgen.judge.spec import GradesSpec

if TYPE_CHECKING:
    from selfgen.runtime.job import Job


def step(spec: GradesSpec, job: Job) -> dict[str, Any]:
    """What a judge says of the answers to a benchmark."""
    judge = judge_of(spec.endpoint, job)
    spent, progress = judge.spent(), job.progress("replies")
    rows, facts = JUDGED[spec.benchmark].grade(
        read_rows(job.input("answers")),
        singles(job.files()),
        spec.generator,
        lambda requests: judge.ask(requests, progress),
    )
    write_rows(job.output("grades"), rows)
    return facts | {"dollars": round(judge.spent() - spent, 6)}

"""Grades of the answers to a benchmark, by a judge behind an endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from selfgen.benchmarks import JUDGED
from selfgen.benchmarks.base import Files, Reply, Request, Rows
from selfgen.core.errors import UserError
from selfgen.core.rows import read_rows, write_rows
from selfgen.data.listing import singles
from selfgen.judge.client import Judge, Progress, judge_of, others
from selfgen.judge.spec import GradesSpec

if TYPE_CHECKING:
    from selfgen.runtime.job import Job


def step(spec: GradesSpec, job: Job) -> dict[str, Any]:
    """What a judge says of the answers to a benchmark."""
    judge = judge_of(spec.endpoint, job)
    spent = judge.spent()
    rows, facts = by_judge(
        read_rows(job.input("answers")),
        singles(job.files()),
        spec,
        judge,
        job.progress("replies"),
    )
    write_rows(job.output("grades"), rows)
    return facts | {"dollars": round(judge.spent() - spent, 6)}


def by_judge(
    answers: Rows,
    files: Files,
    spec: GradesSpec,
    judge: Judge,
    progress: Progress = None,
) -> tuple[Rows, dict[str, Any]]:
    """Rows as the benchmark makes them, each also with ``by``, the models that replied and
    are not the one that was asked; and facts.

    Raises UserError: as ``Judge.ask`` and the benchmark, or no reply is a grade.
    """
    benchmark, replies = JUDGED[spec.benchmark], list[Reply]()

    def ask(requests: Sequence[Request]) -> list[Reply]:
        found = judge.ask(requests, progress)
        replies.extend(found)
        return found

    rows, facts = benchmark.grade(answers, files, spec.generator, ask)
    graded = benchmark.missing and benchmark.missing[0]
    if graded and all(row[graded] is None for row in rows):
        raise UserError(
            f"judge {judge.spec.model}: none of {len(replies)} replies is a grade of"
            f" {benchmark.title}, as {replies[0].text[:80] if replies else ''!r}"
        )
    other = others(replies, judge.spec)
    names = ", ".join(other)
    return [row | {"by": names} for row in rows], facts | {"other_models": other}

"""Grades of the answers to a benchmark, by a judge behind an endpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from selfgen.benchmarks import JUDGED
from selfgen.benchmarks.base import Rows
from selfgen.judge.client import Judge
from selfgen.judge.spec import GradesSpec, Limits


def grade(
    answers: Rows,
    files: Mapping[str, Path],
    spec: GradesSpec,
    limits: Limits,
    replies: Path,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Rows, dict[str, Any]]:
    """The grades of ``answers``, and facts; both are the benchmark's own.

    Args:
        files: of the benchmark, by the keys that name them.
        replies: the folder where the judge's replies are kept.

    Raises UserError: as the benchmark's ``grade`` and ``Judge.ask``.
    """
    judge = Judge(spec.endpoint, limits, replies)
    benchmark, spent = JUDGED[spec.benchmark], judge.spent()
    rows, facts = benchmark.grade(
        answers, files, spec.generator, lambda requests: judge.ask(requests, progress)
    )
    return rows, facts | {"dollars": round(judge.spent() - spent, 6)}

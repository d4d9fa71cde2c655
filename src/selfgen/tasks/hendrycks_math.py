"""MATH (Hendrycks et al. 2021, MIT): problems with worked solutions, the answer in a box.

openai/prm800k keeps it in two files: 500 test problems in one, all others in the other.
``unique_id`` tells which split of MATH a problem is of, so that both together are
the original 7,500 and 5,000. Files of EleutherAI/hendrycks_math on the hub may take
their place: ``problem``, ``solution`` and ``type``, a folder for each subject and a file for
each split.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from selfgen.core.errors import UserError
from selfgen.data import tables
from selfgen.data.dataset import DataSet, RecordsSpec, record, with_validation
from selfgen.data.final_answers import boxed
from selfgen.data.pins import FileSpec

# This repository keeps its data in Git LFS, whose contents have an address of their own.
_FOLDER = (
    "https://media.githubusercontent.com/media/openai/prm800k"
    "/7ecc794703b2877f63226f2477a49b34f9b25163/prm800k/math_splits"
)
SOURCES = {
    "math-main": FileSpec(
        f"{_FOLDER}/train.jsonl",
        "90d96daeac3fe343ebb1e22ce93dd99690f75983e957f88de42f87cffe1e8076",
    ),
    "math-500": FileSpec(
        f"{_FOLDER}/test.jsonl",
        "35dc41080a3680858b27fa7e0533d2d547825316fc5dafe5d316f4ccc5a06132",
    ),
}
_KEYS = ("problem", "solution", "answer", "subject", "unique_id")


def load(sources: dict[str, Path], spec: RecordsSpec) -> Iterator[dict[str, Any]]:
    """The records of MATH; ``kind`` is the subject."""
    found = [
        record(
            spec.task,
            f"math-{row['unique_id'].removesuffix('.json')}",
            row["problem"],
            row["solution"],
            split=row["unique_id"].partition("/")[0],
            source="hendrycks/math, openai/prm800k",
            licence="MIT",
            answer=row["answer"],
            kind=row["subject"],
        )
        for row in read([sources[name] for name in SOURCES])
    ]
    return with_validation(found, spec)


def read(paths: Iterable[Path]) -> list[dict[str, str]]:
    """Rows ``{problem, solution, answer, subject, unique_id}`` of all files, in the order of
    MATH's folders.

    Raises UserError: a ``unique_id`` that is of no split, or stands twice.
    """
    rows: dict[str, dict[str, str]] = {}
    for path in paths:
        for where, row in tables.read(path):
            row = _of_hub(where, row) if "type" in row else row
            found = tables.texts(where, row, _KEYS)
            name = found["unique_id"]
            if name.partition("/")[0] not in ("train", "test") or name in rows:
                raise UserError(
                    f"{path}: found unique_id {name!r}, allowed: train/... or test/...,"
                    " each once"
                )
            rows[name] = found
    return [rows[name] for name in sorted(rows, key=_natural)]


def _of_hub(where: str, row: dict[str, Any]) -> dict[str, Any]:
    """A row of ``SUBJECT/SPLIT-...: row N`` with what such files say by where it stands."""
    found = re.fullmatch(r"(?:.*/)?(\w+)/(train|test)-.*: row (\d+)", where)
    subject, split, number = found.groups() if found else ("", "", where)
    return {
        "problem": row.get("problem"),
        "solution": row.get("solution"),
        "answer": boxed(str(row.get("solution"))),
        "subject": row["type"],
        "unique_id": f"{split}/{subject}/{number}",
    }


def _natural(name: str) -> list[Any]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


DATASET = DataSet(
    load,
    SOURCES,
    template="{prompt}\nSolve step by step and put the answer in \\boxed{}.",
    metrics=("latex", "rouge"),
    published=True,
)

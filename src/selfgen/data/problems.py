"""GSM8K and MATH: problems with worked solutions, from files in JSON lines.

* GSM8K (Cobbe et al. 2021, MIT): ``question`` and ``answer``, which ends in ``#### N``
* MATH (Hendrycks et al. 2021, MIT), as openai/prm800k keeps it in two files: 500 test
  problems in one, all others in the other. ``unique_id`` tells which split of MATH a
  problem is of, so that both together are the original 7,500 and 5,000. Files of
  EleutherAI/hendrycks_math on the hub may take their place: ``problem``, ``solution`` and
  ``type``, a folder for each subject and a file for each split
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from selfgen.core.errors import UserError
from selfgen.data import tables
from selfgen.data.gsm_symbolic import final_number
from selfgen.data.spec import RecordsSpec
from selfgen.data.text import record, too_long, unit

GSM8K = ("gsm8k-train", "gsm8k-test")
MATH = ("math-main", "math-500")
"""Names of the files that each is read from."""

_MATH = ("problem", "solution", "answer", "subject", "unique_id")
_BOX = re.compile(r"\\(?:boxed|fbox)(?:\s*\{|\s+)")


def load_gsm8k(sources: dict[str, Path], spec: RecordsSpec) -> Iterator[dict[str, Any]]:
    """The records of GSM8K; calculator marks (``<<...>>``) are left out of solutions."""
    found = []
    for split, name in zip(("train", "test"), GSM8K, strict=True):
        for row in read_gsm8k(sources[name]):
            worked = re.sub(r"<<.*?>>", "", row["answer"]).strip()
            found.append(
                record(
                    spec.task,
                    f"gsm8k-{_digest(row['question'])}",
                    row["question"],
                    worked,
                    split=split,
                    source="openai/grade-school-math",
                    licence="MIT",
                    answer=final_number(worked),
                )
            )
    return with_validation(found, spec)


def load_math(sources: dict[str, Path], spec: RecordsSpec) -> Iterator[dict[str, Any]]:
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
        for row in read_math([sources[name] for name in MATH])
    ]
    return with_validation(found, spec)


def read_gsm8k(path: Path) -> list[dict[str, str]]:
    """Rows ``{question, answer}`` as they are in a file."""
    return list(read_texts(path, ("question", "answer")))


def read_math(paths: Iterable[Path]) -> list[dict[str, str]]:
    """Rows ``{problem, solution, answer, subject, unique_id}`` of all files, in the order of
    MATH's folders.

    Raises UserError: a ``unique_id`` that is of no split, or stands twice.
    """
    rows: dict[str, dict[str, str]] = {}
    for path in paths:
        for where, row in tables.read(path):
            found = _texts(where, _of_hub(where, row) if "type" in row else row, _MATH)
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


def read_texts(path: Path, keys: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """The texts under ``keys`` of every row; raises UserError where one has none."""
    for where, row in tables.read(path):
        yield _texts(where, row, keys)


def _texts(where: str, row: dict[str, Any], keys: tuple[str, ...]) -> dict[str, str]:
    if not all(isinstance(row.get(key), str) for key in keys):
        raise UserError(f"{where}: needed are the texts {', '.join(keys)}")
    return {key: row[key] for key in keys}


def boxed(text: str) -> str | None:
    r"""What the last ``\boxed{...}`` or ``\fbox{...}`` holds, braces inside it balanced, or
    what follows a ``\boxed`` without braces; None without a box."""
    boxes = [*_BOX.finditer(text)]
    if not boxes:
        return None
    begin = boxes[-1].end()
    if not boxes[-1][0].endswith("{"):
        return re.split(r"[\s$]", text[begin:], maxsplit=1)[0] or None
    depth = 1
    for i in range(begin, len(text)):
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if not depth:
            return text[begin:i]
    return None


def with_validation(
    found: list[dict[str, Any]], spec: RecordsSpec
) -> Iterator[dict[str, Any]]:
    """These sets have no validation split: as many training problems as are asked for, of
    the lowest hash of id, become one."""
    fitting = [
        row
        for row in found
        if not too_long(row["prompt"], spec.max_words)
        and not too_long(row["reference"], spec.max_reference_words)
    ]
    training = (row["id"] for row in fitting if row["split"] == "train")
    by_hash = sorted(training, key=lambda name: (unit(name, "validation"), name))
    held_out = set(by_hash[: spec.rows.get("validation", 0)])
    for row in fitting:
        yield row | {"split": "validation"} if row["id"] in held_out else row


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _natural(name: str) -> list[Any]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]

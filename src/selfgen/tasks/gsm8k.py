"""GSM8K (Cobbe et al. 2021, MIT): ``question`` and ``answer``, which ends in ``#### N``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfgen.data import tables
from selfgen.data.dataset import DataSet, RecordsSpec, record, with_validation
from selfgen.data.final_answers import final_number
from selfgen.data.pins import FileSpec

_FOLDER = (
    "https://raw.githubusercontent.com/openai/grade-school-math"
    "/3101c7d5072418e28b9008a6636bde82a006892c/grade_school_math/data"
)
SOURCES = {
    "gsm8k-train": FileSpec(
        f"{_FOLDER}/train.jsonl",
        "17f347dc51477c50d4efb83959dbb7c56297aba886e5544ee2aaed3024813465",
    ),
    "gsm8k-test": FileSpec(
        f"{_FOLDER}/test.jsonl",
        "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14",
    ),
}


def read(path: Path) -> list[dict[str, str]]:
    """Rows ``{question, answer}`` as they are in a file."""
    return list(tables.read_texts(path, ("question", "answer")))


def load(sources: dict[str, Path], spec: RecordsSpec) -> Iterator[dict[str, Any]]:
    """The records; calculator marks (``<<...>>``) are left out of solutions."""
    problems = []
    for split, name in zip(("train", "test"), SOURCES, strict=True):
        for row in read(sources[name]):
            worked = re.sub(r"<<[^<>\n]*+>>", "", row["answer"]).strip()
            digest = hashlib.sha256(row["question"].encode()).hexdigest()[:12]
            problems.append(
                record(
                    spec.task,
                    f"gsm8k-{digest}",
                    row["question"],
                    worked,
                    split=split,
                    source="openai/grade-school-math",
                    licence="MIT",
                    answer=final_number(worked),
                )
            )
    return with_validation(problems, spec)


DATASET = DataSet(
    load,
    SOURCES,
    template="{prompt}\nSolve step by step and end with '#### <number>'.",
    metrics=("numbers", "rouge"),
    lengths=(60, 92),  # of SmolLM2's tokenizer
    published=True,
)

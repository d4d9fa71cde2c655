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


def build(
    spec: RecordsSpec, sources: dict[str, Path]
) -> tuple[datasets.Dataset, dict[str, Any]]:
    """The rows that ``spec`` asks for: of each split those of the lowest hash of id.

    The hash orders them too, so fewer rows of a split are a prefix of more.

    Returns them, and facts of those that were left out.

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
    picked = {split: Lowest(asked) for split, asked in spec.rows.items()}
    loaded: Any = dataset.load(sources, spec)
    while True:
        try:
            row = next(loaded)
        except StopIteration as end:
            facts = end.value or {}
            break
        if row["split"] in picked:
            picked[row["split"]].add(row)
    rows = []
    for split in (s for s in SPLITS if s in spec.rows):
        asked, found = spec.rows[split], picked[split].seen
        if found < asked:
            raise UserError(
                f"task {spec.task}: split {split} of {spec.dataset} has {found} rows,"
                f" asked {asked}"
            )
        rows += picked[split].rows()
    check_ids(rows, f"task {spec.task}")
    features = datasets.Features({name: datasets.Value("string") for name in COLUMNS})
    columns = {name: [row[name] for row in rows] for name in COLUMNS}
    return datasets.Dataset.from_dict(columns, features=features), facts


class Lowest:
    """The rows of the lowest hash of id among those that are added, in that order; never many
    more than these ``count`` are kept."""

    def __init__(self, count: int) -> None:
        self.count, self.seen = count, 0
        self._kept: list[tuple[float, str, int, dict[str, Any]]] = []
        self._limit = 1.0

    def add(self, row: dict[str, Any]) -> None:
        self.seen += 1
        place = unit(row["id"], "pick")
        if place <= self._limit:
            self._kept.append((place, row["id"], self.seen, row))
        if len(self._kept) > 2 * self.count + 1000:
            self._cut()

    def _cut(self) -> None:
        self._kept.sort(key=lambda item: item[:3])
        del self._kept[self.count :]
        if self._kept and len(self._kept) == self.count:
            self._limit = self._kept[-1][0]

    def rows(self) -> list[dict[str, Any]]:
        self._cut()
        return [row for *_, row in self._kept]


def step(spec: RecordsSpec, job: Job) -> dict[str, Any]:
    """The records of a task, from its sources."""
    built, facts = build(spec, {name: path for name, (path,) in job.inputs.items()})
    with atomic(job.output("records")) as partial:
        built.to_parquet(partial, **WRITTEN)
    return {"rows": dict(collections.Counter(built["split"])), **facts}

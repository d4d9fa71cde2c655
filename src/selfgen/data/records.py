"""The records of a task as they lie in Parquet."""

from __future__ import annotations

import collections
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from selfgen.core.errors import UserError, naming
from selfgen.core.rows import read_table
from selfgen.data.turns import Messages, sound

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
    "history",
)
SPLITS = ("train", "validation", "test", "test_template")

RECORD_BYTES = 1000
"""Of a record in memory, at least: a row of short texts."""


def read(path: Path, splits: Iterable[str] | None = None) -> list[dict[str, Any]]:
    """The records of a Parquet file in their order, of the named splits or of all.

    Raises:
        UserError: the file is no records file, or an id stands twice.
    """
    table = read_table(path)
    if missing := [name for name in COLUMNS if name not in table.column_names]:
        raise UserError(f"{path}: found no column {', '.join(missing)} of records")
    rows = table.select(list(COLUMNS)).to_pylist()
    check_ids(rows, str(path))
    wanted = None if splits is None else set(splits)
    return [row for row in rows if wanted is None or row["split"] in wanted]


def history_of(record: Mapping[str, Any]) -> Messages:
    """The turns before a record's prompt; mostly none."""
    given = record.get("history") or "[]"
    turns: Messages = json.loads(given) if isinstance(given, str) else given
    return turns


def asked_text(record: Mapping[str, Any]) -> str:
    """All that a record asks, as one text: its prompt, or a dialogue that ends with it."""
    turns = [*history_of(record)]
    if not turns:
        return record["prompt"]
    turns.append({"role": "user", "content": record["prompt"]})
    return "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in turns)


def check_ids(rows: list[dict[str, Any]], where: str) -> None:
    """Raises UserError, which says ``where``, unless every id stands once."""
    counts = collections.Counter(row["id"] for row in rows)
    twice = [ident for ident, count in counts.items() if count > 1]
    if twice:
        raise UserError(f"{where}: ids stand more than once: {', '.join(twice[:5])}")


def training_records(
    records: Iterable[dict[str, Any]], rows: tuple[int, int]
) -> list[dict[str, Any]]:
    """The slice ``rows`` of the training records; all are, where they name no split.

    Raises UserError: no records, fewer than that, or a slice of none.
    """
    first, last = rows
    if first >= last:
        raise UserError(
            f"rows: found {rows}, allowed: a first one and one after the last"
        )
    training = [
        record
        for record in checked_records(records)
        if record.get("split", "train") == "train"
    ]
    if len(training) < rows[1]:
        raise UserError(
            f"records: found {len(training)} training records, rows {rows[0]} to {rows[1]}"
            " are asked for"
        )
    return training[rows[0] : rows[1]]


def checked_records(
    records: Iterable[dict[str, Any]], keys: Sequence[str] = ("id",)
) -> list[dict[str, Any]]:
    """Rows by column, whatever holds them.

    Raises UserError, which names the first that lacks one of ``keys`` or has no name.
    """
    if not isinstance(records, Iterable) or isinstance(records, str | Mapping):
        raise UserError(f"records: found {records!r:.60}, allowed: rows by column")
    found = []
    for number, record in enumerate(records):
        if not isinstance(record, Mapping):
            raise UserError(f"records: row {number}: found {record!r:.60}, no columns")
        if missing := [key for key in keys if key not in record]:
            raise UserError(f"records: row {number} has no {', '.join(missing)}")
        if not isinstance(record["id"], int):
            with naming(f"records: the id of row {number}"):
                sound([record["id"]])
        # No copy, of many records, of what is a row already.
        found.append(record if isinstance(record, dict) else dict(record))
    return found

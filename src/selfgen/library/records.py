"""Rows of whatever kind as records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from selfgen.core.errors import UserError
from selfgen.data import tables
from selfgen.data.columns import Columns
from selfgen.data.own_rows import Faults, Seen, records_of

Data = str | Path | Iterable[Mapping[str, Any]]
"""The path of a file, a dataset, or rows by column."""

FORMS = {
    ("messages",): Columns(messages="messages"),
    ("prompt", "reference"): Columns("prompt", "reference"),
    ("prompt", "completion"): Columns("prompt", "completion"),
}
"""The columns that are known without being named."""


def records(
    data: Data, columns: Columns | None = None, *, skip_bad_rows: bool = False
) -> list[dict[str, Any]]:
    """Rows ``{id, prompt, reference, history, split}``; ``split`` is train.

    ``columns``: of which a record is made; found out where they are those of ``FORMS``. A
    column ``id`` is the id, else a hash of the row is.

    Raises UserError: no rows, other columns, or rows that are no records, unless they are
    left out.
    """
    numbered = _numbered(data)
    first = next(numbered, None)
    if first is None:
        raise UserError("data: found no rows, allowed: at least one")
    found = columns or _columns(first[1])
    faults = Faults()
    made = [
        {
            "id": own.id,
            "split": "train",
            "prompt": own.prompt,
            "reference": own.reference,
            "history": list(own.history),
        }
        for own in records_of(chain([first], numbered), found, faults, Seen())
    ]
    if faults.counts and not skip_bad_rows:
        raise UserError(
            f"data: {sum(faults.counts.values())} rows are no records: {faults.told()};"
            " mend them, or leave them out by skip_bad_rows=True"
        )
    if not made:
        raise UserError(f"data: no row is a record: {faults.told()}")
    return made


def _numbered(data: Data) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(data, str | Path):
        yield from tables.read(Path(data))
        return
    if not isinstance(data, Iterable) or isinstance(data, Mapping):
        raise UserError(
            f"data: found {data!r:.60}, allowed: a path, or rows by column; of a DatasetDict"
            " one of its splits"
        )
    for number, row in enumerate(data):
        if not isinstance(row, Mapping):
            raise UserError(f"data: row {number}: found {row!r:.60}, no columns")
        yield f"data: row {number}", row


def _columns(row: Mapping[str, Any]) -> Columns:
    for names, columns in FORMS.items():
        if set(names) <= set(row):
            named = "id" if "id" in row else ""
            return Columns(**{**vars(columns), "id": named})
    allowed = ", ".join(" and ".join(names) for names in FORMS)
    raise UserError(
        f"data: found the columns {', '.join(row)}, allowed: {allowed}, or others that are"
        " named by columns=selfgen.Columns(prompt=..., reference=...)"
    )

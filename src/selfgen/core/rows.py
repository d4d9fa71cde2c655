"""Rows as Parquet."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from selfgen.core.errors import UserError
from selfgen.core.provenance import atomic


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Rows as Parquet, atomically, a thousand at a time in memory."""
    import pyarrow
    import pyarrow.parquet

    stream = iter(rows)
    first = pyarrow.Table.from_pylist(list(itertools.islice(stream, 1000)))
    with (
        atomic(path) as partial,
        pyarrow.parquet.ParquetWriter(partial, first.schema) as writer,
    ):
        writer.write_table(first)
        while part := list(itertools.islice(stream, 1000)):
            writer.write_table(pyarrow.Table.from_pylist(part, first.schema))


def read_rows(*paths: Path) -> list[dict[str, Any]]:
    """The rows of some Parquet files, one after the other."""
    import pyarrow.parquet

    rows: list[dict[str, Any]] = []
    for path in paths:
        if not path.is_file():
            raise UserError(f"{path}: this file is missing")
        rows += pyarrow.parquet.read_table(path).to_pylist()
    return rows

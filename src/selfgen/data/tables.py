"""Rows of files: JSON lines or Parquet, one file or all that a hub has sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfgen.core.errors import UserError
from selfgen.data import listing


def read(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """``(where, row)`` of every row, file by file in the order of their names; ``where`` is
    the file and the number of the row or line in it.

    ``path``: a file that ends in .parquet or is JSON lines, or a hub's listing of some.

    Raises UserError: it cannot be read as that, or a row is no object.
    """
    import pyarrow

    listed = path.suffix == ".listing"
    for name, file in (listing.read(path) if listed else {str(path): path}).items():
        try:
            parquet = file.suffix == ".parquet"
            unit = "row" if parquet else "line"
            for number, row in enumerate((_parquet if parquet else _lines)(file), 1):
                if not isinstance(row, dict):
                    raise ValueError(f"{unit} {number} is no object")
                yield f"{name}: {unit} {number}", row
        except (OSError, ValueError, pyarrow.ArrowException) as error:
            raise UserError(
                f"{file}: not a file of JSON lines or Parquet: {error}"
            ) from None


def read_texts(path: Path, keys: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """The texts under ``keys`` of every row; raises UserError where one has none."""
    for where, row in read(path):
        yield texts(where, row, keys)


def texts(where: str, row: dict[str, Any], keys: tuple[str, ...]) -> dict[str, str]:
    """The texts under ``keys`` of a row; raises UserError where there is none."""
    if not all(isinstance(row.get(key), str) for key in keys):
        raise UserError(f"{where}: needed are the texts {', '.join(keys)}")
    return {key: row[key] for key in keys}


def _parquet(path: Path) -> Iterator[Any]:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches():
            yield from batch.to_pylist()


def _lines(path: Path) -> Iterator[Any]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)

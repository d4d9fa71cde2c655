"""Rows and frames as Parquet, each page with a checksum that is verified on reading."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.core.errors import UserError
from selfgen.core.provenance import atomic

if TYPE_CHECKING:
    import pandas
    import pyarrow

WRITTEN = {"write_page_checksum": True}
"""What every writer of Parquet is told."""

VERIFIED = {"page_checksum_verification": True}
"""What every reader of Parquet is told."""


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Rows as Parquet, atomically, a thousand at a time in memory."""
    import pyarrow
    import pyarrow.parquet

    stream = iter(rows)
    first = pyarrow.Table.from_pylist(list(itertools.islice(stream, 1000)))
    with (
        atomic(path) as partial,
        pyarrow.parquet.ParquetWriter(partial, first.schema, **WRITTEN) as writer,
    ):
        writer.write_table(first)
        while part := list(itertools.islice(stream, 1000)):
            writer.write_table(pyarrow.Table.from_pylist(part, first.schema))


def parquet(frame: pandas.DataFrame, compression: str = "snappy") -> bytes:
    """A frame without its index as the content of a Parquet file."""
    content = io.BytesIO()
    frame.to_parquet(content, index=False, compression=compression, **WRITTEN)
    return content.getvalue()


def read_rows(*paths: Path) -> list[dict[str, Any]]:
    """The rows of some Parquet files, one after the other.

    Raises UserError: a file is missing, or no whole Parquet file.
    """
    return [row for path in paths for row in read_table(path).to_pylist()]


def each_row(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file, a thousand at a time in memory.

    Raises UserError as ``read_rows``.
    """
    import pyarrow.parquet

    with reading(path), pyarrow.parquet.ParquetFile(path, **VERIFIED) as file:
        for batch in file.iter_batches(1000):
            yield from batch.to_pylist()


def read_frame(path: Path) -> pandas.DataFrame:
    """The frame of a Parquet file. Raises UserError as ``read_rows``."""
    return read_table(path).to_pandas()


def read_table(path: Path) -> pyarrow.Table:
    """A Parquet file in memory. Raises UserError as ``read_rows``."""
    import pyarrow.parquet

    with reading(path):
        return pyarrow.parquet.read_table(path, partitioning=None, **VERIFIED)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Let what Arrow says of a file name the file. Raises UserError as ``read_rows``."""
    import pyarrow

    if not path.is_file():
        raise UserError(f"{path}: this file is missing")

    try:
        yield
    except (pyarrow.ArrowException, OSError) as error:
        said = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: found no whole Parquet file: {said}") from None

"""Rows of files: JSON lines, JSON, CSV, TSV, Parquet or Arrow, texts compressed or not; one
file, or all that a hub has sent.

Read row by row, so that memory does not grow with a file, but for JSON in one array. Our own
readers, since those of ``datasets`` do not say on which line a row is broken.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from selfgen.core import memory
from selfgen.core.errors import UserError
from selfgen.data import listing

Numbered = Iterator[tuple[int, Any]]

PACKED = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
"""Compressions of texts, by the last suffix of a file."""

PARSED_BYTES = 8
"""Memory that parsed JSON takes for each byte of its text, about."""


class _Broken(Exception):
    """What is wrong with the row or line of a ``number``, and what is allowed. ``unit``: what
    is numbered, where it is not what the file's parts are called."""

    def __init__(self, number: int, said: str, unit: str = "") -> None:
        super().__init__(said)
        self.number, self.unit = number, unit


def read(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """``(where, row)`` of every row, file by file in the order of their names; ``where`` is
    the file and the number of the row, or of the line it begins on.

    ``path``: a file, by its suffix one of ``FORMATS`` (JSON lines, where it is none of
    them), or a hub's listing of some.

    Raises UserError: it cannot be read as that, or a row is no object.
    """
    import pyarrow

    listed = path.suffix == ".listing"
    for name, file in (listing.read(path) if listed else {str(path): path}).items():
        unit, rows = kind_of(file)
        number = 0
        try:
            for number, row in rows(file):
                if not isinstance(row, dict):
                    said = f"found {row!r:.40}, allowed: an object of columns"
                    raise _Broken(number, said)
                yield f"{name}: {unit} {number}", row
        except _Broken as error:
            where = f"{name}: {error.unit or unit} {error.number}"
            raise UserError(f"{where}: {error}") from None
        except (OSError, EOFError, pyarrow.ArrowException) as error:
            said = " ".join(str(error).split())[:200]
            raise UserError(
                f"{name}: cannot be read as {_format(file)[1:]}, after {number} rows: {said}"
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


def _format(path: Path) -> str:
    """The suffix that says the format of a file."""
    packed = path.suffix.lower() in PACKED
    found = (path.with_suffix("") if packed else path).suffix.lower()
    return found if found in FORMATS else ".jsonl"


def kind_of(path: Path) -> tuple[str, Callable[[Path], Numbered]]:
    """What the parts of a file are called, and its reader."""
    return FORMATS[_format(path)]


# Binary formats


def _parquet(path: Path) -> Numbered:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        yield from _numbered(file.iter_batches(1000))


def _arrow(path: Path) -> Numbered:
    """A stream, as ``datasets`` keeps them, or a file (Feather)."""
    import pyarrow

    with pyarrow.memory_map(str(path)) as source:
        try:
            batches = iter(pyarrow.ipc.open_stream(source))
        except pyarrow.ArrowInvalid:
            file = pyarrow.ipc.open_file(source)
            batches = map(file.get_batch, range(file.num_record_batches))
        yield from _numbered(batches)


def _numbered(batches: Iterable[Any]) -> Numbered:
    return enumerate((row for batch in batches for row in batch.to_pylist()), 1)


# Texts


def _open(path: Path) -> IO[bytes]:
    if (packed := PACKED.get(path.suffix.lower())) is None:
        return path.open("rb")
    import io

    import pyarrow

    stream: Any = pyarrow.input_stream(str(path), compression=packed)
    return io.BufferedReader(stream, 2**20)


def _decoded(number: int, line: bytes) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise _Broken(
            number,
            f"found the byte 0x{line[error.start]:02X} at column {error.start + 1}, which is"
            " no UTF-8; allowed: UTF-8, such as `iconv -f latin1 -t utf-8` writes",
            "line",
        ) from None


def _lines(path: Path) -> Numbered:
    with _open(path) as file:
        for number, line in enumerate(file, 1):
            text = _decoded(number, line)
            if text.strip():
                yield number, _parsed(text, number)


def _json(path: Path) -> Numbered:
    """One array of objects, whole in memory; else JSON lines."""
    with _open(path) as file:
        start = file.read(1024)
        if not start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"["):
            yield from _lines(path)
            return
        whole = start + file.read()
    needed = len(whole) * PARSED_BYTES
    memory.ask(str(path), "its array", needed, "write it as JSON lines, one row a line")
    text = "".join(_decoded(n, x) for n, x in enumerate(whole.splitlines(True), 1))
    yield from enumerate(_parsed(text), 1)


def _parsed(text: str, line: int | None = None) -> Any:
    """JSON; ``line``: that it stands on, where it is one."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        at = error.lineno if line is None else line
        said = f"broken JSON at column {error.colno}: {error.msg}"
    except RecursionError:
        at, said = line or 1, "broken JSON: nested too deeply"
    except ValueError as error:  # a number with too many digits
        at, said = line or 1, f"broken JSON: {error}"
    allowed = "an array of objects" if line is None else "one object a line"
    raise _Broken(at, f"found {said}; allowed: {allowed}", "line")


def _separated(path: Path) -> Numbered:
    """Cells under the names in the first line, by comma or tab; a row may have line breaks
    within quotes, and is known by the line that it begins on."""
    csv.field_size_limit(sys.maxsize)
    mark = "\t" if _format(path) == ".tsv" else ","
    with _open(path) as file:
        lines = (_decoded(number, line) for number, line in enumerate(file, 1))
        rows = csv.reader(lines, delimiter=mark, strict=True)
        header: list[str] = []
        begins = 1
        while True:
            try:
                cells = next(rows, None)
            except csv.Error as error:
                raise _Broken(begins, f"found broken CSV: {error}") from None
            if cells is None:
                return
            if not header:
                header = cells
                if twice := {name for name in header if header.count(name) > 1}:
                    said = f"found the column {min(twice)!r} twice"
                    raise _Broken(begins, f"{said}; allowed: one name a column")
            elif len(cells) == len(header):
                yield begins, dict(zip(header, cells, strict=True))
            elif cells:
                raise _Broken(
                    begins,
                    f"found {len(cells)} cells, allowed: {len(header)}, as in the first line",
                )
            begins = rows.line_num + 1


FORMATS: dict[str, tuple[str, Callable[[Path], Numbered]]] = {
    ".jsonl": ("line", _lines),
    ".ndjson": ("line", _lines),
    ".json": ("row", _json),
    ".csv": ("line", _separated),
    ".tsv": ("line", _separated),
    ".parquet": ("row", _parquet),
    ".arrow": ("row", _arrow),
    ".feather": ("row", _arrow),
}
"""By suffix: what a part is called, and the reader of its parts with their numbers."""

"""Rows as they are made: in memory, or in a folder where a call that was killed goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.core.errors import UserError
from selfgen.core.provenance import write_json
from selfgen.core.rows import read_rows, write_rows

if TYPE_CHECKING:
    import datasets
    import pyarrow


class Parts:
    """The parts of a dataset. ``missing``: the numbers of those that are yet to be made.

    Args:
        out: a folder, or None: in memory.
        what: all that decides the rows; a folder of other rows is refused.
        count: of parts.
    """

    def __init__(self, out: str | Path | None, what: Sequence[Any], count: int) -> None:
        self.folder = None if out is None else Path(out)
        self.count = count
        self._tables: dict[int, pyarrow.Table] = {}
        if self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._claim(self.folder, hashlib.sha256(json.dumps(what).encode()))

    def _claim(self, folder: Path, digest: Any) -> None:
        mark = folder / "rows.json"
        own = {"what": digest.hexdigest(), "parts": self.count}
        if mark.is_file():
            if json.loads(mark.read_text()) != own:
                raise UserError(
                    f"out: found {folder} with rows of other data, another model or other"
                    " settings; allowed: an empty folder, or one of these rows"
                )
        elif any(path.suffix != ".partial" for path in folder.iterdir()):
            raise UserError(f"out: found {folder} with other files, allowed: none")
        else:
            write_json(mark, own)

    def _path(self, number: int) -> Path:
        return (self.folder or Path()) / f"rows-{number:05}.parquet"

    @property
    def missing(self) -> list[int]:
        if self.folder:
            return [n for n in range(self.count) if not self._path(n).is_file()]
        return [n for n in range(self.count) if n not in self._tables]

    def keep(self, number: int, rows: list[dict[str, Any]]) -> None:
        """A part, once it is whole."""
        if self.folder:
            write_rows(self._path(number), rows)
        else:
            self._tables[number] = table(rows)

    def rows(self) -> list[dict[str, Any]]:
        """All rows in memory, in the order of the parts."""
        if self.folder:
            return read_rows(*map(self._path, range(self.count)))
        return [row for n in range(self.count) for row in self._tables[n].to_pylist()]

    def dataset(self) -> datasets.Dataset:
        """All rows, one epoch after the other."""
        import datasets
        import numpy
        import pyarrow

        if self.folder:
            files = [str(self._path(number)) for number in range(self.count)]
            cache = str(self.folder / "cache")
            made = datasets.Dataset.from_parquet(files, cache_dir=cache)
        else:
            tables = [self._tables[number] for number in range(self.count)]
            made = datasets.Dataset(pyarrow.concat_tables(tables))
        epochs = numpy.asarray(made["epoch"][:])
        return made.select(epochs.argsort(kind="stable")) if epochs.any() else made


def table(rows: Iterable[dict[str, Any]]) -> pyarrow.Table:
    """Rows by column."""
    import pyarrow

    return pyarrow.Table.from_pylist(list(rows))


def identity(model: Any) -> str:
    """What tells a model from another: its folder with sizes and times of the weights in it,
    or its class and some of each weight."""
    if isinstance(model, str | Path):
        files = [(f, f.stat()) for f in sorted(Path(model).glob("*.safetensors"))]
        known = [(f.name, s.st_size, s.st_mtime_ns) for f, s in files]
        return f"{Path(model).absolute()} {known}"
    digest = hashlib.sha256(type(model).__name__.encode())
    for name, weight in model.named_parameters():
        some = weight.detach().flatten()[:64].float().cpu()
        digest.update(f"{name}{tuple(weight.shape)}{some.tolist()}".encode())
    return digest.hexdigest()

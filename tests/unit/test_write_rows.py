"""Rows are written as they are made: in parts, and whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selfgen.core.rows import read_rows, write_rows


def made(n: int, broken_at: int | None = None) -> Iterator[dict[str, Any]]:
    for i in range(n):
        if i == broken_at:
            raise RuntimeError("the model is gone")
        yield {"id": str(i), "tokens": list(range(i % 5))}


@pytest.mark.parametrize("n", [0, 1, 1000, 2500])
def test_all_rows_in_order(tmp_path: Path, n: int) -> None:
    write_rows(tmp_path / "rows.parquet", made(n))
    assert read_rows(tmp_path / "rows.parquet") == list(made(n))


def test_a_run_that_breaks_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    write_rows(path, made(3))
    with pytest.raises(RuntimeError, match="the model is gone"):
        write_rows(path, made(2500, broken_at=2400))
    assert read_rows(path) == list(made(3))
    assert list(tmp_path.iterdir()) == [path]

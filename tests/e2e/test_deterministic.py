"""Two runs from nothing give the same bytes, on whatever cores and in however many jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from tests.e2e.conftest import RUN, configuration, copy, results
from tests.flow import Flow

IN_SHARDS = ("results/answers", "results/passes")


@pytest.mark.slow
def test_another_folder_other_shards_other_cores(whole: Flow, tmp_path: Path) -> None:
    """Shards are runs of whole batches of one plan, so they are cut from one text."""
    other = copy(tmp_path / "another folder")
    other.write_config("small.yaml", configuration() | {"shards": 2})
    done = other.snakemake(*RUN, "--cores", "3")
    assert done.returncode == 0, done.stdout[-5000:]

    one, two = results(whole.root), results(other.root)
    cut = {name for name in one if name.startswith(IN_SHARDS)}
    assert sorted(set(one) - cut) == sorted(
        name for name in two if not name.startswith(IN_SHARDS)
    )
    assert [name for name in set(one) - cut if one[name] != two[name]] == []
    jobs = 0
    for folder in sorted({(whole.root / name).parent for name in cut}):
        found = other.root / folder.relative_to(whole.root)
        assert rows(found) == rows(folder), folder
        jobs += sum(bool(rows(path)) for path in found.glob("*.parquet"))
    assert jobs > len(cut), "everything came from one shard"


def rows(path: Path) -> list[dict[str, Any]]:
    """Of a table, or of all shards of a folder."""
    shards = [path] if path.is_file() else sorted(path.glob("shard*.parquet"))
    return [
        r for shard in shards for r in pyarrow.parquet.read_table(shard).to_pylist()
    ]

"""Every shipped table is what its shipped scores say, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfgen.report.render import render_all
from selfgen.specs import TablesSpec, from_json

SHIPPED = sorted(
    path.parent
    for path in Path(__file__).parents[2].glob("docs/reference/*/scores.parquet")
)


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda path: path.name)
def test_shipped_tables_are_redrawn(folder: Path) -> None:
    spec = from_json(TablesSpec, (folder / "spec.json").read_text())
    drawn = render_all(folder, spec)
    texts = [name for name in drawn if name.endswith((".md", ".tex", ".csv", ".json"))]
    assert len(texts) == 9
    for name in texts:
        assert (folder / name).read_bytes() == drawn[name], name

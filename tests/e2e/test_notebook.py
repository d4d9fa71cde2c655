"""docs/ten-rows.ipynb, executed cell by cell as it stands, on a tiny model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.tiny import tiny

NOTEBOOK = Path(__file__).parents[2] / "docs" / "ten-rows.ipynb"


@pytest.fixture(scope="module")
def cells() -> list[Any]:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_no_output_is_kept(cells: list[Any]) -> None:
    assert not any(cell.outputs or cell.execution_count for cell in cells)


@pytest.mark.slow
def test_the_notebook_runs(
    cells: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it shows is what it says: labels of the reference, own tokens in the context,
    drafts before corrections, and measures of two kinds of context."""
    scope: dict[str, Any] = {}
    for cell in cells:
        exec(compile(cell.source, NOTEBOOK.name, "exec"), scope)
        if "parameters" in cell.metadata.get("tags", ()):
            scope["MODEL"] = str(tiny(tmp_path / "model"))
    assert [len(scope[name]) for name in ("data", "bash", "plain", "rac")] == [10] * 4
    for mixed, plain in zip(scope["bash"], scope["plain"], strict=True):
        assert mixed["labels"] == plain["labels"]
        differs = [
            a != b for a, b in zip(mixed["input_ids"], plain["input_ids"], strict=True)
        ]
        assert differs == mixed["changed"]
    assert any(any(row["changed"]) for row in scope["bash"])
    table = scope["found"].table()
    assert {"excess", "planted_own", "nll"} <= set(table.measure)
    assert set(table.model) == {"my model"} and (table.prompts <= 10).all()
    said = capsys.readouterr().out
    assert "The capital of France is Paris." in said
    assert "Compare this with the task" in said

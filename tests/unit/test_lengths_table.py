"""Checked answers by their length, from rows by hand."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from tests.judged import COLUMN, LABELS

from selfgen.report.spec import Cell, TableSpec
from selfgen.report.tables import lengths


def row(item: int, due: int, wrong: int) -> dict[str, Any]:
    """The last ``wrong`` of as many steps as are due, and none after the reference's."""
    free = [""] * (due - wrong) + ["x"] * wrong
    return {"id": f"i{item}", "due": due, "free": free, "forced": [""] * due}


def drawn(part: list[dict[str, Any]]) -> tuple[list[dict[str, str]], str]:
    cells = (Cell("words", "m", "sft", "direct", 0),)
    spec = TableSpec(
        *("lengths", "lengths", "tiny", (COLUMN,), LABELS, "sft", ()),
        *(0.95, cells, None),
    )
    texts = lengths.draw([part], spec).texts()
    return [*csv.DictReader(io.StringIO(texts["csv"]))], texts["md"]


def test_by_hand() -> None:
    # 2 steps: right, and half wrong; 3 to 4: right, and twice a quarter; 5 to 6: right, and
    # all wrong.
    part = [row(0, 2, 0), row(1, 2, 1), row(2, 3, 0), row(3, 4, 1)]
    part += [row(4, 4, 1), row(5, 5, 0), row(6, 6, 6)]
    lines, text = drawn(part)
    shown = [(x["steps_from"], x["steps_to"], x["n"]) for x in lines]
    assert shown == [("2", "2", "2"), ("3", "4", "3"), ("5", "6", "2")]
    whole, excess = ([float(x[k]) for x in lines] for k in ("whole", "excess"))
    assert whole == pytest.approx([0.5, 1 / 3, 0.5], abs=1e-6)
    assert excess == pytest.approx([0.25, (0 + 0.25 + 0.25) / 3, 0.5], abs=1e-6)
    assert "words: 2 to 2, 3 to 4, 5 to 6." in text


def test_answers_of_one_length_are_not_there() -> None:
    lines, text = drawn([row(0, 4, 0), row(1, 4, 2)])
    assert lines == []
    assert "Steps of the reference: —." in text

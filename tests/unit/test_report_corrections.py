"""Two turns as a table, by hand: what was fixed, broken and edited."""

from __future__ import annotations

import csv
import io

import pandas as pd
import pytest

from selfgen.report.collect import collect_scores
from selfgen.report.spec import Column, TableSpec
from selfgen.report.tables import corrections

SPEC = TableSpec(
    kind="corrections",
    name="corrections",
    scale="x",
    columns=(
        Column("math", "test", "strict", "math"),
        Column("qa", "test", "rougeL", "qa"),
    ),
    labels={"rac": "RAC", "sft": "SFT"},
    baseline="sft",
    primary=(),
    confidence=0.95,
    cells=(),
    own=None,
)


def scores() -> pd.DataFrame:
    """Math: right, right, wrong, wrong; then right, wrong, right, wrong. One is edited
    without effect. Questions: one better, one worse, two as before."""
    turns = {
        ("math", "strict"): ([1, 1, 0, 0], [1, 0, 1, 0], [0, 1, 1, 1]),
        ("qa", "rougeL"): ([0.2, 0.4, 0.5, 0.5], [0.4, 0.3, 0.5, 0.5], [1, 1, 0, 0]),
    }
    parts = []
    for (task, metric), (first, second, edited) in turns.items():
        for decoding, values in (("direct", first), ("corrected", second)):
            frame = pd.DataFrame({"id": list("abcd"), "split": "test", metric: values})
            if decoding == "corrected":
                frame["edited"] = edited
            cell = {"task": task, "model": "m", "method": "rac", "seed": 0}
            parts.append((cell | {"decoding": decoding}, frame))
    return collect_scores(parts)


def test_numbers() -> None:
    found = corrections.corrected(scores(), SPEC)
    assert [(column.title, *key) for column, *key in found] == [
        ("math", "m", "rac", "corrected"),
        ("qa", "m", "rac", "corrected"),
    ]
    (math, edited), (qa, few) = found.values()
    numbers = [math.first, math.second, math.gain, math.improved, math.worsened]
    assert [x.value for x in numbers] == pytest.approx([0.5, 0.5, 0, 0.25, 0.25])
    assert [math.fixed.value, math.broken.value] == pytest.approx([0.5, 0.5])
    assert [edited.value, few.value] == [0.75, 0.5]
    assert [qa.improved.value, qa.worsened.value] == [0.25, 0.25]
    assert qa.gain.value == pytest.approx(0.025)
    assert (qa.fixed, qa.broken) == (None, None)


def test_a_further_turn_is_compared_with_the_one_before_it() -> None:
    """Turn 3 of math is right, right, right, wrong: of the two that turn 2 had wrong it fixes
    one. Without turn 2 in the table there is nothing to compare it with."""
    third = pd.DataFrame({"id": list("abcd"), "split": "test", "strict": [1, 1, 1, 0]})
    cell = {"task": "math", "model": "m", "method": "rac", "seed": 0}
    more = collect_scores([(cell | {"decoding": "corrected-2"}, third)])
    found = corrections.corrected(pd.concat([scores(), more]), SPEC)
    ((turns, _),) = (v for k, v in found.items() if k[-1] == "corrected-2")
    numbers = [turns.first.value, turns.second.value, turns.fixed.value]
    assert numbers == pytest.approx([0.5, 0.75, 0.5])
    page = corrections.draw(pd.concat([scores(), more]), SPEC).texts()
    assert "| math | RAC, turns 2 and 3 | 50.0<br>" in page["md"]
    assert 'math,test,strict,m,"rac, turns 2 and 3"' in page["csv"]
    alone = pd.concat([scores()[lambda f: f["decoding"] == "direct"], more])
    assert corrections.corrected(alone, SPEC) == {}


def test_page() -> None:
    texts = corrections.draw(scores(), SPEC).texts()
    line = next(x for x in texts["md"].splitlines() if x.startswith("| qa"))
    assert line.startswith("| qa | RAC | 40.0<br>") and "| — | — | 50.0<br>" in line
    math, qa = csv.DictReader(io.StringIO(texts["csv"]))
    assert (math["method"], math["n"], math["seeds"]) == ("rac", "4", "1")
    assert (math["fixed"], qa["fixed"], qa["gain"]) == ("0.500000", "", "0.025000")


def test_a_run_without_corrections_has_no_rows() -> None:
    direct = scores()[lambda frame: frame["decoding"] == "direct"]
    assert corrections.corrected(direct, SPEC) == {}


def test_a_shipped_run_that_did_not_measure_edits() -> None:
    old = scores().assign(edited=float("nan"))
    found = corrections.corrected(old, SPEC).values()
    assert [edited for _, edited in found] == [None, None]

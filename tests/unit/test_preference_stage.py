"""Pairs from a file, and the table of preference stages, by hand."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest

from selfgen.config import load
from selfgen.core.errors import UserError
from selfgen.data.preferences import read
from selfgen.report.collect import collect_scores
from selfgen.report.spec import Column, TableSpec
from selfgen.report.tables.preference import Preference, draw

PAIRS = [{"prompt": f"p{i}", "chosen": f"c{i}", "rejected": f"r{i}"} for i in range(6)]


def as_messages(row: dict[str, str]) -> dict[str, Any]:
    """A row as ultrafeedback_binarized has it."""
    user = {"role": "user", "content": row["prompt"]}
    sides = {
        side: [user, {"role": "assistant", "content": row[side]}]
        for side in ("chosen", "rejected")
    }
    return row | sides | {"score_chosen": 8.0}


def test_both_formats_and_both_schemas_are_read_alike(tmp_path: Path) -> None:
    lines = tmp_path / "pairs.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in [*PAIRS, PAIRS[0]]))
    table = pyarrow.Table.from_pylist([as_messages(row) for row in reversed(PAIRS)])
    pyarrow.parquet.write_table(table, tmp_path / "pairs.parquet")
    rows = read(lines, 6)
    assert rows == read(tmp_path / "pairs.parquet", 6)
    assert {(r["prompt"], r["reference"], r["rejected"]) for r in rows} == {
        tuple(row.values()) for row in PAIRS
    }
    assert read(lines, 4) == rows[:4]


@pytest.mark.parametrize(
    ("text", "rows", "said"),
    [
        ('{"prompt": "p", "chosen": "c"}', 1, "line 1: needed are prompt, chosen, rej"),
        ('{"prompt": "p", "chosen": [], "rejected": "r"}', 1, "line 1: needed are"),
        ("[1]", 1, "line 1: found .1., allowed: an object of columns"),
        ("no json", 1, "line 1: found broken JSON at column 1: Expecting value"),
        (
            '{"prompt": "p", "chosen": "c", "rejected": "r"}',
            2,
            "found 1 different pairs",
        ),
    ],
)
def test_what_is_no_pair(tmp_path: Path, text: str, rows: int, said: str) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(text + "\n")
    with pytest.raises(UserError, match=said):
        read(path, rows)
    with pytest.raises(UserError, match=r"missing\.parquet: cannot be read as parquet"):
        read(tmp_path / "missing.parquet", 1)


SPEC = TableSpec(
    kind="preference",
    name="preference",
    scale="x",
    columns=(Column("math", "test", "strict", "math"),),
    labels={"sft": "SFT", "rac": "RAC", "sft-dpo": "SFT+", "rac-dpo": "RAC+"},
    baseline="sft",
    primary=(),
    confidence=0.95,
    cells=(),
    own=Preference(
        parents={"sft-dpo": "sft", "rac-dpo": "rac", "rac-given": "rac"},
        kinds={"sft-dpo": "spin", "rac-dpo": "spin", "rac-given": "pairs"},
    ),
)


def test_table() -> None:
    """Of four answers right: 1 and 2 without the stage, 2 and 4 with it."""
    right = {
        "sft": [1, 0, 0, 0],
        "rac": [1, 1, 0, 0],
        "sft-dpo": [1, 0, 1, 0],
        "rac-dpo": [1, 1, 1, 1],
        "rac-given": [0, 1, 0, 0],
    }
    scores = collect_scores(
        [
            (
                {"task": "math", "model": "m", "method": method, "seed": 0}
                | {"decoding": "direct"},
                pd.DataFrame({"id": list("abcd"), "split": "test", "strict": values}),
            )
            for method, values in right.items()
        ]
    )
    texts = draw(scores, SPEC).texts()
    rows = {
        row["preference_method"]: row
        for row in csv.DictReader(io.StringIO(texts["csv"]))
    }
    found = {
        name: [
            float(row[key]) if row[key] else None
            for key in ("alone", "preferred", "change", "to_baseline")
        ]
        for name, row in rows.items()
    }
    assert found == {
        "sft-dpo": [0.25, 0.5, 0.25, None],
        "rac-dpo": [0.5, 1.0, 0.5, 0.5],
        "rac-given": [0.5, 0.25, -0.25, None],
    }
    page = texts["md"]
    line = next(x for x in page.splitlines() if "| RAC | own |" in x)
    assert "| 50.0<br>" in line and "| 100.0<br>" in line and "| +50.0<br>" in line
    assert "| RAC | given |" in page and "Own: the reference over" in page
    assert "Graded:" not in page


def config(**changes: Any) -> dict[str, Any]:
    method = {"label": "x", "mix": "pairs", "parent": "sft", "stage": "s"}
    return {
        "scale": "x",
        "files": {"given": {"url": "http://h/x.jsonl", "sha256": "0" * 64}},
        "models": {"m": {"kind": "random", "model_type": "llama"}},
        "tasks": {
            "qa": {
                "dataset": "qa",
                "train_rows": 1,
                "test_rows": 1,
                "max_new_tokens": 9,
            }
        },
        "stages": {"s": {"learning_rate": 1e-3} | changes.pop("stage", {})},
        "methods": {
            "base": {"label": "b", "mix": "none"},
            "sft": {"label": "s", "mix": "plain", "parent": "base", "stage": "s"},
            "dpo": method | {"preferences": "ours"} | changes.pop("method", {}),
        },
        "evaluation": {"baseline": "sft"},
        "preferences": {
            "ours": {"file": "given", "rows": 4} | changes.pop("pairs", {})
        },
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"method": {"preferences": "theirs"}}, "dpo.preferences: found 'theirs', all"),
        (
            {"stage": {"fresh_rows": False}},
            "stages.s.fresh_rows: found false with meth",
        ),
        (
            {"stage": {"loss_mean": "row"}},
            "stages.s.loss_mean: found 'row' for methods",
        ),
        (
            {"stage": {"label_smoothing": 0.1}},
            "stages.s.label_smoothing: found 0.1 for methods",
        ),
        ({"pairs": {"max_tokens": 512}}, "max_tokens: found 512, allowed: more than"),
        ({"pairs": {"template": "x"}}, r"template: found no \{prompt\}"),
        ({"pairs": {"file": "gone"}}, "preferences.ours.file: found 'gone', allowed"),
    ],
)
def test_what_cannot_be(changes: dict[str, Any], said: str) -> None:
    from selfgen.graph.steps import Graph

    with pytest.raises(UserError, match=said):
        Graph(load(config(**changes)))

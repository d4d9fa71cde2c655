"""A run held against the shipped one: the same, within chance, more, or not run."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from selfgen.cli.main import main
from selfgen.report import reproduced
from selfgen.report.reproduced import CHANCE, DIFFERS, MISSING, SAME, Held
from selfgen.report.spec import Column, TableSpec

COLUMNS = (
    Column("qa", "test", "rougeL", "qa"),
    Column("math", "test", "strict", "math"),
)
LABELS = {"sft": "SFT", "bash": "BASH", "rac": "RAC"}
SPEC = TableSpec("main", "main", "laptop", COLUMNS, LABELS, "sft", (), 0.95, (), None)
ITEMS = 60


def scores(seed: int = 0, **shifts: float) -> pd.DataFrame:
    """Scores of three methods; those that ``shifts`` names are moved by noise around it."""
    frames = []
    for task, metric in (("qa", "rougeL"), ("math", "strict")):
        for number, method in enumerate(LABELS):
            stream = np.random.default_rng([number, task == "qa"])
            values = stream.random(ITEMS) / 2 + 0.2
            if method in shifts:
                noise = np.random.default_rng(seed).normal(0, 0.05, ITEMS)
                values = values + shifts[method] + noise - noise.mean()
            cell = {"task": task, "split": "test", "model": "m", "method": method}
            cell |= {"decoding": "direct", "seed": 0}
            frame = pd.DataFrame(
                {"id": [f"i{i}" for i in range(ITEMS)], metric: values}
            )
            frames.append(frame.assign(**cell))
    return pd.concat(frames, ignore_index=True)


def words(own: pd.DataFrame) -> dict[tuple[str, str], str]:
    return {(h.column, h.row): h.word for h in reproduced.held(own, scores(), SPEC)}


def test_each_number_has_its_word() -> None:
    assert set(words(scores()).values()) == {SAME} and len(words(scores())) == 6
    own = scores(bash=0.001, rac=0.1)
    own = own[(own["task"] == "qa") | (own["method"] != "sft")]
    found = words(own)
    assert found["qa", "SFT"] == SAME and found["math", "SFT"] == MISSING
    assert {found[task, "BASH"] for task in ("qa", "math")} == {CHANCE}
    assert {found[task, "RAC"] for task in ("qa", "math")} == {DIFFERS}


def test_what_a_reader_is_told() -> None:
    own = scores(rac=0.1)
    *listed, count, warning = reproduced.lines(
        [*reproduced.held(own, scores(), SPEC)], "X"
    )
    assert count == "Of 6 numbers of X: 4 the same, 2 more than chance."
    assert warning.startswith("By chance alone")
    value = 100 * scores()[lambda f: f["method"] == "rac"]["rougeL"].mean()
    assert listed[0].startswith("qa, RAC     more than chance  ")
    assert f"{value + 10:.1f}, shipped {value:.1f}: +10.0 [" in listed[0]
    same = [Held("qa", "SFT", 20.0, 20.0, None)]
    assert [*reproduced.lines(same, "X")] == [
        "Of 1 numbers of X: 1 the same.",
        "Reproduced.",
    ]


def test_the_shipped_run_reproduces_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shipped = Path(__file__).parents[2] / "docs/reference/laptop"
    results = tmp_path / "results"
    arguments = ["verify", "--results", str(results), "--reference", str(shipped)]
    assert main(arguments) == 1
    assert "found no collected/scores.parquet" in capsys.readouterr().err
    shutil.copytree(shipped / "collected", results / "collected")
    assert main(arguments) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "Reproduced." and len(said) == 2 and " the same." in said[0]

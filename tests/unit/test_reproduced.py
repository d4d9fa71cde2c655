"""A run held against the shipped one: reproduced, differs, or not run."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests import shipped
from tests.seeds import verified

from selfgen.cli.main import main
from selfgen.evaluation.statistics import Difference
from selfgen.report import reproduced, ship
from selfgen.report.reproduced import CHANCE, ITEMS, MISSING, REPRODUCED, SAME, Held
from selfgen.report.spec import Column, TableSpec

COLUMNS = (
    Column("qa", "test", "rougeL", "qa"),
    Column("math", "test", "strict", "math"),
)
LABELS = {"sft": "SFT", "bash": "BASH", "rac": "RAC"}
SPEC = TableSpec("main", "main", "laptop", COLUMNS, LABELS, "sft", (), 0.95, (), None)
ITEMS_READ = 60


def scores(seed: int = 0, **shifts: float) -> pd.DataFrame:
    """Scores of three methods under a seed; those that ``shifts`` names are moved by noise
    around it."""
    frames = []
    for task, metric in (("qa", "rougeL"), ("math", "strict")):
        for number, method in enumerate(LABELS):
            stream = np.random.default_rng([number, task == "qa"])
            values = stream.random(ITEMS_READ) / 2 + 0.2
            if method in shifts:
                noise = np.random.default_rng(seed).normal(0, 0.05, ITEMS_READ)
                values = values + shifts[method] + noise - noise.mean()
            cell = {"task": task, "split": "test", "model": "m", "method": method}
            cell |= {"decoding": "direct", "seed": seed}
            frame = pd.DataFrame(
                {"id": [f"i{i}" for i in range(ITEMS_READ)], metric: values}
            )
            frames.append(frame.assign(**cell))
    return pd.concat(frames, ignore_index=True)


def seeds(**shifts: float) -> pd.DataFrame:
    """As ``scores``, of three seeds."""
    return pd.concat([scores(seed, **shifts) for seed in range(3)], ignore_index=True)


def words(own: pd.DataFrame, other: pd.DataFrame) -> dict[tuple[str, str], str]:
    return {(h.column, h.row): h.word for h in reproduced.held(own, other, SPEC)}


def test_each_cell_has_its_word() -> None:
    same = words(scores(), scores())
    assert set(same.values()) == {SAME} and len(same) == 6
    assert words(scores(seed=1), scores()) == same
    own = scores(bash=0.001, rac=0.1)
    own = own[(own["task"] == "qa") | (own["method"] != "sft")]
    found = words(own, scores())
    assert found["qa", "SFT"] == SAME and found["math", "SFT"] == MISSING
    assert {found[task, "BASH"] for task in ("qa", "math")} == {REPRODUCED}
    assert {found[task, "RAC"] for task in ("qa", "math")} == {ITEMS}


def test_of_chance_nothing_is_said_without_seeds_on_both_sides() -> None:
    """A run of one seed is held against each seed of the other: that covers no trainings."""
    assert words(seeds(rac=0.1), seeds())["qa", "RAC"] == CHANCE
    assert words(scores(rac=0.1), seeds())["qa", "RAC"] == ITEMS
    assert words(seeds(rac=0.1), scores())["qa", "RAC"] == ITEMS


def told(own: pd.DataFrame, other: pd.DataFrame) -> list[str]:
    return [*reproduced.lines([*reproduced.held(own, other, SPEC)], "X")]


def test_what_a_reader_is_told() -> None:
    *listed, closing = told(scores(rac=0.1), scores())
    assert closing == (
        "Reproduced: 4 of 6 cells of X, 4 of them the same in every item; 2 differ by more"
        " than other items would explain; on another kind of CPU the weights are another"
        " training (docs/reliability.md)."
    )
    value = 100 * scores()[lambda f: f["method"] == "rac"]["rougeL"].mean()
    assert listed[0].startswith(
        f"qa, RAC     {value + 10:.1f}, shipped {value:.1f}: +10.0 ["
    )
    assert listed[0].endswith("]  differs by more than other items would explain")


@pytest.mark.parametrize(
    "own, other, said",
    [
        (scores(), scores(), "the same in every item; this run is the shipped one."),
        (scores(rac=0.001), scores(), "; no cell shows a difference."),
        (
            scores()[lambda f: f["method"] != "rac"],
            scores(),
            "; 2 not run; of those nothing",
        ),
        (
            seeds(rac=0.1),
            seeds(),
            "; 2 differ by more than chance; other seeds and items do",
        ),
    ],
)
def test_every_run_has_one_closing_sentence(
    own: pd.DataFrame, other: pd.DataFrame, said: str
) -> None:
    closing = told(own, other)[-1]
    assert closing.startswith("Reproduced: ") and said in closing
    assert closing.count(". ") == 0 and "one in twenty" not in closing


def test_one_cell_differs() -> None:
    difference = Difference(0.1, 0.05, 0.15, ITEMS_READ, 1)
    found = [Held("qa", "SFT", 20.0, 30.0, difference)]
    (_, closing) = reproduced.lines(found, "X")
    assert closing.startswith(
        "Reproduced: 0 of 1 cells of X; 1 differs by more than other"
    )


def test_the_shipped_run_reproduces_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = shipped.REFERENCE / "laptop"
    results = tmp_path / "results"
    arguments = ["verify", "--results", str(results), "--reference", str(reference)]
    assert main(arguments) == 1
    assert "found no collected/scores.parquet" in capsys.readouterr().err
    shutil.copytree(reference / "collected", results / "collected")
    assert main(arguments) == 0
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 1 and "the same in every item; this run is the" in said[0]


def test_the_report_shows_what_it_says_of_a_shipped_seed() -> None:
    page = shipped.REPORT.read_text(encoding="utf-8")
    assert ship.show(page, {"verify/evidence": verified()}) == page

"""Seeds shipped from several machines, as one run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from tests import merged
from tests.shipped import REFERENCE, graph

from selfgen.core.choices import Choice, Point, read

BASELINE = "tuning/sort/smollm2-135m/baseline.json"


def shipped(out: Path, seed: int, tasks: tuple[str, ...] = ("group", "sort")) -> Path:
    """The evidence run's first seed under the number of another, with some of its tasks."""
    given = REFERENCE / "evidence"
    for name in ("runs", "curves", "timings"):
        frame = pd.read_csv(
            given / f"collected/{name}.csv", dtype=str, keep_default_na=False
        )
        part = frame[(frame["seed"] == "0") & frame["task"].isin(tasks)]
        path = out / f"collected/{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        part.assign(seed=seed).to_csv(path, index=False)
    scores = pd.read_parquet(given / "collected/scores.parquet")
    part = scores[(scores["seed"] == 0) & scores["task"].isin(tasks)]
    part.assign(seed=seed).to_parquet(out / "collected/scores.parquet")
    (out / "collected/manifests.json").write_text("{}")
    shutil.copyfile(given / "run.json", out / "run.json")
    for task in tasks:
        path = out / BASELINE.replace("sort", task)
        path.parent.mkdir(parents=True)
        shutil.copyfile(given / BASELINE.replace("sort", task), path)
        for path in (given / "steps" / task).rglob("seed0.parquet"):
            to = out / path.relative_to(given).with_name(f"seed{seed}.parquet")
            to.parent.mkdir(parents=True)
            shutil.copyfile(path, to)
    return out


def test_seeds_follow_each_other_in_every_cell(tmp_path: Path) -> None:
    first, second = shipped(tmp_path / "0", 0), shipped(tmp_path / "1", 1, ("group",))
    third = shipped(tmp_path / "2", 1, ("sort",))
    merged.merge([first, second, third], tmp_path / "out")
    scores = pd.read_parquet(tmp_path / "out/collected/scores.parquet")
    cells = ["task", "model", "method", "decoding"]
    found = list(
        scores[[*cells, "seed"]].drop_duplicates().itertuples(index=False, name=None)
    )
    single = pd.read_parquet(first / "collected/scores.parquet")[
        cells
    ].drop_duplicates()
    # The base model is the same under every seed.
    assert found == [
        (*cell, seed)
        for cell in single.itertuples(index=False, name=None)
        for seed in ((0,) if "base" in cell else (0, 1))
    ]
    own = scores[scores["seed"] == 1].drop(columns="seed").reset_index(drop=True)
    given = pd.read_parquet(first / "collected/scores.parquet").drop(columns="seed")
    trained = given[given["method"] != "base"].reset_index(drop=True)
    pd.testing.assert_frame_equal(own, trained)
    choice = read(tmp_path / "out" / BASELINE)
    before = read(first / BASELINE).candidates
    assert [(p.n, p.seeds) for p in choice.candidates] == [
        (p.n, 2 * p.seeds) for p in before
    ]
    assert [p.mean for p in choice.candidates] == [p.mean for p in before]


def test_what_a_run_is_of_alone(tmp_path: Path) -> None:
    first, second = shipped(tmp_path / "0", 0), shipped(tmp_path / "1", 1)
    declared = graph("declared", seeds=[0, 1])
    named = ["base", "sft", "sft-continued", "sft-whole", "bash", "rac"]
    given = json.loads((REFERENCE / "evidence/collected/manifests.json").read_text())
    passes = {path: {} for path in given if path.startswith("results/passes/group")}
    (first / "collected/manifests.json").write_text(json.dumps(passes))
    merged.merge([first, second], tmp_path / "out", declared)
    kept = json.loads((tmp_path / "out/collected/manifests.json").read_text())
    # Own tokens of BASH .25 and drafts of RAC, under each of two seeds
    assert len(kept) == 4 < len(passes)
    for name in ("scores.parquet", "runs.csv", "timings.csv"):
        path = tmp_path / "out/collected" / name
        read_frame = pd.read_csv if path.suffix == ".csv" else pd.read_parquet
        assert {*read_frame(path)["method"]} <= {*named}, name
    folders = (tmp_path / "out/steps/sort/smollm2-135m").iterdir()
    assert {path.name for path in folders} == {*named}
    assert len(read(tmp_path / "out" / BASELINE).candidates) == 3


def test_a_seed_without_an_arm_is_refused(tmp_path: Path) -> None:
    first, second = shipped(tmp_path / "0", 0), shipped(tmp_path / "1", 1)
    path = second / "collected/scores.parquet"
    scores = pd.read_parquet(path)
    scores[scores["method"] != "rac"].to_parquet(path)
    with pytest.raises(ValueError, match="other arms under other seeds"):
        merged.merge([first, second], tmp_path / "out")


def test_a_baseline_is_the_best_of_all_seeds() -> None:
    """2 and 3 of 4 right against 4 and 0: the first is the worse one under the first seed."""
    both = [
        Choice("whole", (Point("a", 0.5, 4, 1), Point("b", 1.0, 4, 1)), "b"),
        Choice("whole", (Point("a", 0.75, 4, 1), Point("b", 0.0, 4, 1)), "a"),
    ]
    found = merged.baseline(both)
    assert found.chosen == "a"
    assert found.candidates == (Point("a", 0.625, 4, 2), Point("b", 0.5, 4, 2))


def test_a_seed_alone_is_what_was_put_in(tmp_path: Path) -> None:
    folders = [shipped(tmp_path / str(seed), seed) for seed in (0, 1)]
    merged.merge(folders, tmp_path / "out")
    for seed, folder in enumerate(folders):
        merged.alone(tmp_path / "out", seed, tmp_path / f"alone{seed}")
        for name in ("scores.parquet", "runs.csv"):
            read = pd.read_parquet if name.endswith("parquet") else pd.read_csv
            given, found = (
                read(where / "collected" / name)
                for where in (folder, tmp_path / f"alone{seed}")
            )
            order = ["task", "method", "seed"]
            pd.testing.assert_frame_equal(
                *(
                    frame.sort_values(order, kind="stable", ignore_index=True)
                    for frame in (given, found)
                )
            )
        own = {path.relative_to(folder) for path in (folder / "steps").rglob("*.*")}
        out = tmp_path / f"alone{seed}"
        assert own == {path.relative_to(out) for path in (out / "steps").rglob("*.*")}

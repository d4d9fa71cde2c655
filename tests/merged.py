"""Runs of one configuration under other seeds, shipped from several machines, as one.

``python -m tests.merged OUT FOLDER...``: each folder is what ``selfgen ship`` wrote, of some
tasks and seeds; ``OUT`` is written anew. Tables and figures are drawn from it by
``python -m tests.shipped``.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet

from selfgen.core.choices import Choice, Point, read, written
from selfgen.core.provenance import write_json
from selfgen.core.rows import WRITTEN, read_table
from selfgen.evaluation.choice import best

CELL = ["task", "model", "method"]
FRAMES = ("curves", "runs", "timings")


def merge(folders: Sequence[Path], out: Path) -> None:
    """Scores, curves, runs, timings and manifests one after the other, by task, method and
    seed; errors of steps and chosen rates beside each other; the baseline by the mean of
    all seeds.

    Raises ValueError: a seed of a task lacks an arm that another has, a cell stands in two
    folders, or a rate in two.
    """
    (out / "collected").mkdir(parents=True)
    scores = [
        read_table(folder / "collected/scores.parquet").to_pandas()
        for folder in folders
    ]
    merged = _ordered(scores, [*CELL, "decoding"])
    pyarrow.parquet.write_table(
        pyarrow.Table.from_pandas(merged, preserve_index=False),
        out / "collected/scores.parquet",
        **WRITTEN,
    )
    for name in FRAMES:
        parts = [
            pd.read_csv(
                folder / f"collected/{name}.csv", dtype=str, keep_default_na=False
            )
            for folder in folders
        ]
        joined = _ordered([p.astype({"seed": int}) for p in parts], CELL)
        joined.to_csv(out / f"collected/{name}.csv", index=False, lineterminator="\n")
    manifests: dict[str, Any] = {}
    for folder in folders:
        manifests |= json.loads((folder / "collected/manifests.json").read_text())
    write_json(out / "collected/manifests.json", manifests)
    for path in (
        p for f in folders for kind in ("steps", "tuning") for p in _files(f / kind)
    ):
        folder = next(f for f in folders if path.is_relative_to(f))
        to = out / path.relative_to(folder)
        to.parent.mkdir(parents=True, exist_ok=True)
        if path.name == "baseline.json":
            found = [f / path.relative_to(folder) for f in folders]
            choices = [read(path) for path in found if path.is_file()]
            to.write_text(written(baseline(choices)))
            continue
        if to.exists():
            raise ValueError(f"{path}: found in two folders")
        shutil.copyfile(path, to)
    shutil.copyfile(folders[0] / "run.json", out / "run.json")


def baseline(choices: Sequence[Choice]) -> Choice:
    """A choice between candidates from those by some seeds each (``evaluation.choice``)."""
    points = []
    for same in zip(*(choice.candidates for choice in choices), strict=True):
        (name,), (n,) = {one.name for one in same}, {one.n for one in same}
        seeds = sum(one.seeds for one in same)
        # Counts of right answers: exact, so the order of the seeds changes nothing.
        right = math.fsum(round(one.mean * n * one.seeds) for one in same)
        points.append(Point(name, right / (n * seeds), n, seeds))
    (metric,) = {choice.metric for choice in choices}
    return Choice(metric, tuple(points), best(points))


def _ordered(parts: Sequence[pd.DataFrame], key: list[str]) -> pd.DataFrame:
    """The rows of all, by where their cell first appears, then by seed, then as they were."""
    whole = pd.concat(parts, ignore_index=True)
    for task, rows in whole.groupby("task"):
        cells = {
            seed: {*own[key].itertuples(index=False)}
            for seed, own in rows.groupby("seed")
        }
        if len({frozenset(found) for found in cells.values()}) > 1:
            raise ValueError(f"{task}: found other arms under other seeds")
    places = {
        cell: n
        for n, cell in enumerate(dict.fromkeys(whole[key].itertuples(index=False)))
    }
    order = [places[cell] for cell in whole[key].itertuples(index=False)]
    return (
        whole.assign(_place=order)
        .sort_values(["_place", "seed"], kind="stable", ignore_index=True)
        .drop(columns="_place")
    )


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    merge([Path(name) for name in sys.argv[2:]], Path(sys.argv[1]))

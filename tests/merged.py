"""Runs of one configuration under other seeds, shipped from several machines, as one.

``python -m tests.merged OUT FOLDER... [--run RUN]``: each folder is what ``selfgen ship``
wrote, of some tasks and seeds; ``OUT`` is written anew, with what a run of ``tests.shipped``
is of and nothing else. Tables and figures are drawn from it by ``python -m tests.shipped``.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet

from selfgen.core.choices import Choice, Point, read, written
from selfgen.core.provenance import write_json
from selfgen.core.rows import WRITTEN, read_table
from selfgen.evaluation.choice import best
from selfgen.graph import paths
from selfgen.graph.steps import Graph
from tests import shipped

CELL = ["task", "model", "method"]
FRAMES = ("curves", "runs", "timings")
PASSES = "results/passes/"
Arm = tuple[str, str]
"""A task and a method."""


def merge(folders: Sequence[Path], out: Path, graph: Graph | None = None) -> None:
    """Scores, curves, runs, timings and manifests one after the other, by task, method and
    seed; errors of steps and chosen rates beside each other; the baseline by the mean of
    all seeds. A model that no one trained is the same under every seed: its first stays.
    ``graph``: methods and passes that it has not are left out.

    Raises ValueError: a seed of a task lacks an arm that another has, or a file stands in
    two folders.
    """
    (out / "collected").mkdir(parents=True)
    seen: set[Arm] = set()
    frames: dict[str, list[pd.DataFrame]] = {name: [] for name in ("scores", *FRAMES)}
    manifests: dict[str, Any] = {}
    kept, passes = _of_graph(graph) if graph else (None, set())
    for folder in folders:
        texts = {name: _csv(folder / f"collected/{name}.csv") for name in FRAMES}
        runs = texts["runs"]
        found = runs[runs["parent"] == ""]
        untrained = {*zip(found["task"], found["method"], strict=True)}
        twice, seen = untrained & seen, untrained | seen
        table = read_table(folder / "collected/scores.parquet").to_pandas()
        arms = {*zip(table["task"], table["method"], strict=True)}
        out_of = twice | (arms - kept if kept else set())
        for name, frame in {"scores": table, **texts}.items():
            cells = zip(frame["task"], frame["method"], strict=True)
            frames[name].append(frame[[cell not in out_of for cell in cells]])
        for path, text in json.loads(
            (folder / "collected/manifests.json").read_text()
        ).items():
            unread = graph and path.startswith(PASSES) and path not in passes
            if not unread and not _of(Path(path), out_of):
                manifests[path] = text
        for path in (p for kind in ("steps", "tuning") for p in _files(folder / kind)):
            to = out / (inside := path.relative_to(folder))
            if _of(inside, out_of) or path.name == "baseline.json":
                continue
            if to.exists():
                raise ValueError(f"{path}: found in two folders")
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, to)
    scores = _ordered(frames.pop("scores"), [*CELL, "decoding"], seen)
    pyarrow.parquet.write_table(
        pyarrow.Table.from_pandas(scores, preserve_index=False),
        out / "collected/scores.parquet",
        **WRITTEN,
    )
    for name, parts in frames.items():
        _ordered(parts, CELL, seen).to_csv(
            out / f"collected/{name}.csv", index=False, lineterminator="\n"
        )
    write_json(out / "collected/manifests.json", manifests)
    chosen = [(f, p) for f in folders for p in f.glob("tuning/*/*/baseline.json")]
    for inside in dict.fromkeys(path.relative_to(folder) for folder, path in chosen):
        same = [read(path) for folder, path in chosen if path == folder / inside]
        (out / inside).parent.mkdir(parents=True, exist_ok=True)
        (out / inside).write_text(written(baseline(same)))
    if graph is None:  # of a part nothing says what it took
        shutil.copyfile(folders[0] / "run.json", out / "run.json")


def alone(folder: Path, seed: int, out: Path) -> None:
    """What of a merged run is of one seed, models that no one trained among it: scores, runs
    and errors of steps. What was chosen was chosen by all seeds."""
    runs = _csv(folder / "collected/runs.csv")
    untrained = runs["parent"] == ""
    own = runs[untrained | (runs["seed"] == seed)].assign(seed=seed)
    (out / "collected").mkdir(parents=True)
    own.to_csv(out / "collected/runs.csv", index=False, lineterminator="\n")
    arms = {*zip(runs[untrained]["task"], runs[untrained]["method"], strict=True)}
    scores = read_table(folder / "collected/scores.parquet").to_pandas()
    cells = zip(scores["task"], scores["method"], scores["seed"], strict=True)
    is_own = [s == seed or (task, method) in arms for task, method, s in cells]
    scores[is_own].assign(seed=seed).to_parquet(out / "collected/scores.parquet")
    for path in _files(folder / "steps"):
        inside = path.relative_to(folder).with_name(f"seed{seed}.parquet")
        if path.name == inside.name or _of(inside, arms):
            (out / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, out / inside)
    shutil.copytree(folder / "tuning", out / "tuning")


def _of_graph(graph: Graph) -> tuple[set[Arm], set[str]]:
    """The arms of a run, and the manifests of its passes."""
    arms = {(cell.task, cell.method) for cell in graph.cells()}
    files = {graph.pass_file(*trained) for trained in graph.trained()}
    return arms, {paths.manifest(file) for file in files if file}


def _csv(path: Path) -> pd.DataFrame:
    """Numbers as they are written, but for the seed."""
    return pd.read_csv(path, dtype=str, keep_default_na=False).astype({"seed": int})


def _of(path: Path, cells: set[Arm]) -> bool:
    """Whether a file is of a task and method of ``cells``."""
    return any(task in path.parts and method in path.parts for task, method in cells)


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


def _ordered(
    parts: Sequence[pd.DataFrame], key: list[str], untrained: set[Arm]
) -> pd.DataFrame:
    """The rows of all, by where their cell first appears, then by seed, then as they were.

    Raises ValueError: a seed of a task lacks a cell that another has.
    """
    whole = pd.concat(parts, ignore_index=True)
    arms = zip(whole["task"], whole["method"], strict=True)
    trained = whole[[arm not in untrained for arm in arms]]
    for task, own in trained.groupby("task"):
        seeds = own.groupby(key)["seed"].agg(frozenset)
        if len({*seeds}) > 1:
            raise ValueError(f"{task}: found other arms under other seeds")
    cells = [*whole[key].itertuples(index=False)]
    places = {cell: number for number, cell in enumerate(dict.fromkeys(cells))}
    return (
        whole.assign(place=[places[cell] for cell in cells])
        .sort_values(["place", "seed"], kind="stable", ignore_index=True)
        .drop(columns="place")
    )


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--run", choices=shipped.RUNS)
    given = parser.parse_args()
    merge(given.folders, given.out, given.run and shipped.graph(given.run))

"""From manifests to two frames: what was trained, and what it cost."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from selfgen.core.provenance import atomic, write_json
from selfgen.report.collect import collect_scores
from selfgen.report.spec import CollectSpec

if TYPE_CHECKING:
    import pandas

    from selfgen.runtime.job import Job

RUNS = (
    *("task", "model", "method", "seed", "parent"),
    *("steps", "labelled_tokens", "forwarded_tokens", "generated_tokens"),
)
TIMINGS = (
    *("task", "model", "method", "seed", "stage", "seconds", "tokens"),
    *("peak_memory_mb", "device", "dtype", "precision", "started_at", "wall_seconds"),
)
_PATH = re.compile(
    r"results/(?P<kind>models|passes|answers)/(?P<task>[^/]+)/(?P<model>[^/]+)"
    r"/(?P<node>[^/]+)/(?:(?P<name>[^/]+)/)?seed(?P<seed>\d+)/(?:manifest|shard\d+)\.json$"
)


def collect_runs(
    manifests: Mapping[str, Mapping[str, Any]], spec: CollectSpec
) -> tuple[pandas.DataFrame, pandas.DataFrame]:
    """``(runs, timings)`` of all nodes, from manifests by their path.

    ``runs`` (columns ``RUNS``) holds no times, so it is the same on every machine;
    ``timings`` (columns ``TIMINGS``) has a row for each job of the stages train, pass and
    answers. A pass that several methods share is reported with each of them.
    """
    import pandas as pd

    found: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for path, manifest in manifests.items():
        match = _PATH.search(path)
        if match is None:
            raise ValueError(f"{path} is no manifest of the path grammar")
        key = match.group("kind", "task", "model", "node", "name", "seed")
        found.setdefault(key, []).append(manifest)
    runs, timings = [], []
    nodes = {
        (c.task, c.model, c.method, c.seed): c for c in spec.cells if c.model != "-"
    }
    for task, model, method, seed in nodes:
        address = (task, model)
        trained = [
            manifest
            for node in spec.nodes[method]
            for manifest in found.get(("models", *address, node, None, str(seed)), [])
        ]
        passed = [
            manifest
            for made in spec.passes[method]
            for manifest in found.get(
                ("passes", *address, *made.split("/"), str(seed)), []
            )
        ]
        answers = [
            manifest
            for key, parts in found.items()
            if key[:4] == ("answers", *address, method) and key[5] == str(seed)
            for manifest in parts
        ]
        totals = [
            sum(manifest[key] for manifest in trained)
            for key in ("steps", "labelled_tokens", "forwarded_tokens")
        ]
        generated = sum(manifest["generated_tokens"] for manifest in passed)
        runs.append(
            [task, model, method, seed, spec.parents[method] or "", *totals, generated]
        )
        for stage, parts in (
            ("pass", passed),
            ("train", trained),
            ("answers", answers),
        ):
            timings += [
                [task, model, method, seed, stage, *_timing(stage, part)]
                for part in parts
            ]
    return pd.DataFrame(runs, columns=list(RUNS)), pd.DataFrame(
        timings, columns=list(TIMINGS)
    )


def _timing(stage: str, job: Mapping[str, Any]) -> list[Any]:
    seconds, tokens = (
        ("seconds", "forwarded_tokens")
        if stage == "train"
        else ("generation_seconds", "generated_tokens")
    )
    fp32 = stage == "train" or job["precision"] == "fp32"
    return [
        *(round(job[seconds], 1), job[tokens], job["peak_memory_mb"]),
        *(job["device"], "float32" if fp32 else "bfloat16", job["precision"]),
        *(job["started_at"], job["wall_seconds"]),
    ]


def collect_curves(curves: Mapping[str, str]) -> pandas.DataFrame:
    """Training curves, one row a step, from JSONL texts by their path; no times."""
    import json

    import pandas as pd

    rows = []
    for path, text in curves.items():
        task, model, node, seed = path.split("/")[-5:-1]
        for line in text.splitlines():
            point = json.loads(line)
            rows.append(
                [
                    *(task, model, node, int(seed.removeprefix("seed"))),
                    *(point["step"], point["loss"], point["learning_rate"]),
                ]
            )
    names = ["task", "model", "method", "seed", "step", "loss", "learning_rate"]
    return pd.DataFrame(rows, columns=names)


def step(spec: CollectSpec, job: Job) -> dict[str, Any]:
    """The four tables that renderings read, and all manifests in one file."""
    import pandas as pd

    frames = [pd.read_parquet(path) for path in job.paths("scores")]
    cells = [asdict(cell) for cell in spec.cells]
    scores = collect_scores(zip(cells, frames, strict=True))
    manifests = {
        path.as_posix(): json.loads(path.read_text(encoding="utf-8"))
        for path in job.paths("manifests")
    }
    runs, timings = collect_runs(manifests, spec)
    curves = {path.as_posix(): path.read_text() for path in job.paths("curves")}
    with atomic(job.output("scores.parquet")) as partial:
        scores.to_parquet(partial, index=False)
    frames = {"runs": runs, "timings": timings, "curves": collect_curves(curves)}
    job.write({f"{n}.csv": frame.to_csv(index=False) for n, frame in frames.items()})
    write_json(job.output("manifests.json"), manifests)
    return {}

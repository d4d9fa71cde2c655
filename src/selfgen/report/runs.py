"""From manifests to two frames: what was trained, and what it cost."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from selfgen.core import manifests
from selfgen.core.provenance import write_json
from selfgen.core.rows import parquet, read_frame
from selfgen.report.collect import NO_MODEL, collect_scores
from selfgen.report.spec import CollectSpec

if TYPE_CHECKING:
    import pandas

    from selfgen.runtime.job import Job

RUNS = (
    *("task", "model", "method", "seed", "parent"),
    *("steps", "labelled_tokens", "forwarded_tokens", "generated_tokens"),
    *("changed_share", "right_drafts_share"),
)
TIMINGS = (
    *("task", "model", "method", "seed", "stage", "seconds", "tokens"),
    *("peak_memory_mb", "device", "dtype", "precision", "started_at", "wall_seconds"),
)
Manifest = Mapping[str, Any]


def collect_runs(
    spec: CollectSpec,
    trained: Sequence[Manifest],
    passed: Sequence[Manifest],
    answers: Sequence[Manifest],
) -> tuple[pandas.DataFrame, pandas.DataFrame]:
    """``(runs, timings)`` of all methods, from manifests in the order of ``spec``.

    ``runs`` (columns ``RUNS``) holds no times, so it is the same on every machine;
    ``timings`` (columns ``TIMINGS``) has a row for each job of the stages train, pass and
    answers. A pass that several methods share is reported with each of them. Of a method's
    passes ``changed_share`` is the share of their tokens that are not the reference's, and
    ``right_drafts_share`` that of drafts which are right already; NaN where a pass is of
    the other kind. A training that drew its rows itself counts as a pass, too: it is a row of
    each stage, with the wall time of the job at ``train``.
    """
    import pandas as pd

    manifests_of: dict[tuple[Any, ...], list[Manifest]] = defaultdict(list)
    for manifest, one in zip(trained, spec.trained, strict=True):
        method = spec.checkpoints[one.checkpoint]
        manifests_of["train", one.task, one.model, method, one.seed].append(manifest)
    for manifest, made in zip(passed, spec.passed, strict=True):
        for method in dict.fromkeys(spec.checkpoints[c] for c in made.checkpoints):
            manifests_of["pass", made.task, made.model, method, made.seed].append(
                manifest
            )
    cells = [cell for cell in spec.cells if cell.model != NO_MODEL]
    for manifest, cell in zip(answers, cells, strict=True):
        address = (cell.task, cell.model, cell.method, cell.seed)
        manifests_of["answers", *address].append(manifest)
    runs, timings = [], []
    for address in dict.fromkeys((c.task, c.model, c.method, c.seed) for c in cells):
        totals = [
            sum(manifest[key] for manifest in manifests_of["train", *address])
            for key in ("steps", "labelled_tokens", "forwarded_tokens")
        ]
        drew = [m for m in manifests_of["train", *address] if "generated_tokens" in m]
        passes = manifests_of["pass", *address] + drew
        generated = sum(m["generated_tokens"] for m in passes)
        doses = (
            _share(passes, "changed_tokens", "generated_tokens"),
            _share(passes, "right_drafts", "drafts"),
        )
        parent = spec.parents[address[2]] or ""
        runs.append([*address, parent, *totals, generated, *doses])
        timings += [
            [*address, "pass", *_timing("pass", {**manifest, "wall_seconds": 0.0})]
            for manifest in drew
        ]
        for stage in ("pass", "train", "answers"):
            timings += [
                [*address, stage, *_timing(stage, part)]
                for part in manifests_of[stage, *address]
            ]
    return pd.DataFrame(runs, columns=list(RUNS)), pd.DataFrame(
        timings, columns=list(TIMINGS)
    )


def _share(passes: Sequence[Manifest], part: str, whole: str) -> float:
    """NaN unless all passes have counted both."""
    if not passes or any(part not in m or not m[whole] for m in passes):
        return math.nan
    return sum(m[part] for m in passes) / sum(m[whole] for m in passes)


def _timing(stage: str, job: Mapping[str, Any]) -> list[Any]:
    seconds, tokens = (
        ("seconds", "forwarded_tokens")
        if stage == "train"
        else ("generation_seconds", "generated_tokens")
    )
    # Training, what it draws included, has its weights in fp32.
    fp32 = "labelled_tokens" in job or job["precision"] == "fp32"
    return [
        *(round(job[seconds], 1), job[tokens], job["peak_memory_mb"]),
        *(job["device"], "float32" if fp32 else "bfloat16", job["precision"]),
        *(job["started_at"], job["wall_seconds"]),
    ]


def collect_curves(spec: CollectSpec, curves: Sequence[str]) -> pandas.DataFrame:
    """Training curves, one row a step, from JSONL texts in the order of ``spec``; no
    times."""
    import pandas as pd

    rows = [
        [
            *(one.task, one.model, one.checkpoint, one.seed),
            *(point["step"], point["loss"], point["learning_rate"]),
        ]
        for text, one in zip(curves, spec.trained, strict=True)
        for point in map(json.loads, text.splitlines())
    ]
    names = ["task", "model", "method", "seed", "step", "loss", "learning_rate"]
    return pd.DataFrame(rows, columns=names)


def step(spec: CollectSpec, job: Job) -> dict[str, Any]:
    """The four tables that renderings read, and all manifests in one file."""
    frames = [read_frame(path) for path in job.paths("scores")]
    cells = [asdict(cell) for cell in spec.cells]
    scores = collect_scores(zip(cells, frames, strict=True))
    told = {
        kind: {path.as_posix(): manifests.read(path) for path in job.paths(kind)}
        for kind in ("trained", "passed", "answers")
    }
    parts = {kind: list(by_path.values()) for kind, by_path in told.items()}
    runs, timings = collect_runs(spec, **parts)
    curves = collect_curves(spec, [path.read_text() for path in job.paths("curves")])
    tables = {"runs": runs, "timings": timings, "curves": curves}
    job.write(
        {"scores": parquet(scores)}
        | {name: frame.to_csv(index=False) for name, frame in tables.items()}
    )
    write_json(
        job.output("manifests"),
        {
            path: manifest
            for by_path in told.values()
            for path, manifest in by_path.items()
        },
    )
    return {}

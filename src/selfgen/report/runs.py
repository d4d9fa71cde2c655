"""From manifests to two frames: what was trained, and what it cost."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from selfgen.specs import CollectSpec

if TYPE_CHECKING:
    import pandas

RUNS = (
    *("task", "model", "method", "seed", "parent"),
    *("steps", "labelled_tokens", "forwarded_tokens", "generated_tokens"),
)
TIMINGS = (
    *("task", "model", "method", "seed", "stage", "seconds", "tokens"),
    *("tokens_per_second", "peak_memory_mb", "device", "dtype", "precision"),
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
    ``timings`` (columns ``TIMINGS``) has a row for each train, pass and answers stage. A
    pass that several methods share is reported with each of them.
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
        trained = found.get(("models", *address, method, None, str(seed)), [])
        generator, _, name = (spec.passes[method] or "").partition("/")
        passed = found.get(("passes", *address, generator, name, str(seed)), [])
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
            if parts:
                timings.append(
                    [task, model, method, seed, stage, *_timing(stage, parts)]
                )
    return pd.DataFrame(runs, columns=list(RUNS)), pd.DataFrame(
        timings, columns=list(TIMINGS)
    )


def _timing(stage: str, parts: list[Mapping[str, Any]]) -> list[Any]:
    time, tokens = (
        ("seconds", "forwarded_tokens")
        if stage == "train"
        else ("generation_seconds", "generated_tokens")
    )
    seconds = sum(part[time] for part in parts)
    count = sum(part[tokens] for part in parts)
    first = parts[0]
    dtype = (
        "float32" if stage == "train" or first["precision"] == "fp32" else "bfloat16"
    )
    return [
        *(round(seconds, 1), count, round(count / seconds, 1)),
        max(part["peak_memory_mb"] for part in parts),
        *(first["device"], dtype, first["precision"]),
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

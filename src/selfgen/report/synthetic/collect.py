"""From the folders of controlled runs to four frames and one file of manifests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas

RUNS = (
    *("regime", "seed", "method", "failed", "steps", "labelled_tokens"),
    *("forwarded_tokens", "generated_tokens", "changed_tokens"),
    *("pass_seconds", "train_seconds"),
)
SUMMED = {
    "steps": "steps",
    "labelled_tokens": "labelled_tokens",
    "forwarded_tokens": "forwarded_tokens",
    "generated_tokens": "generated_tokens",
    "changed_tokens": "changed_tokens",
    "pass_seconds": "generation_seconds",
    "train_seconds": "seconds",
}
"""Columns of ``RUNS`` and the fact of a node that each sums over a method's rounds."""


def collect(runs: Sequence[Path]) -> tuple[dict[str, pandas.DataFrame], dict[str, Any]]:
    """``(frames, manifests)`` of runs by the folders that they lie in.

    Frames: ``scores`` (one row an answer), ``positions``, ``curves`` and ``runs`` (what
    each method cost), each with columns regime and seed.
    """
    import pandas as pd

    parts: dict[str, list[pandas.DataFrame]] = {
        "scores": [],
        "positions": [],
        "curves": [],
    }
    costs: list[list[Any]] = []
    manifests = {}
    for run in runs:
        manifest = json.loads((run / "manifest.json").read_text())
        manifests[run.as_posix()] = manifest
        regime, seed = (manifest["spec"][name] for name in ("regime", "seed"))
        for name, frames in parts.items():
            frame = pd.read_parquet(run / f"{name}.parquet")
            frames.append(frame.assign(regime=regime, seed=seed))
        costs += [[regime, seed, *cost] for cost in _costs(manifest)]
    found = {
        name: pd.concat([f for f in frames if not f.empty], ignore_index=True)
        if any(not f.empty for f in frames)
        else pd.DataFrame()
        for name, frames in parts.items()
    }
    if "nll" in found["scores"]:
        # Three decimals are more than is shown, and a third of the file.
        found["scores"]["nll"] = found["scores"]["nll"].round(3).astype("float32")
    return found | {"runs": pd.DataFrame(costs, columns=list(RUNS))}, manifests


def _costs(manifest: dict[str, Any]) -> list[list[Any]]:
    """One line a method: sums over its rounds."""
    methods: dict[str, list[dict[str, Any]]] = {}
    for node in manifest["spec"]["nodes"]:
        facts = manifest["nodes"].get(node["name"])
        if facts:
            methods.setdefault(node["declared"], []).append(facts)
    return [
        [
            method,
            int(any(facts.get("failed") for facts in rounds)),
            *(
                round(sum(facts.get(fact, 0) for facts in rounds), 2)
                for fact in SUMMED.values()
            ),
        ]
        for method, rounds in methods.items()
    ]

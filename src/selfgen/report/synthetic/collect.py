"""From the folders of synthetic experiments to four frames and one file of manifests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.core import manifests
from selfgen.core.provenance import write_json
from selfgen.core.rows import parquet, read_frame
from selfgen.report.synthetic.spec import CollectSpec

if TYPE_CHECKING:
    import pandas

    from selfgen.runtime.job import Job

SUMMED = {
    "steps": "steps",
    "labelled_tokens": "labelled_tokens",
    "forwarded_tokens": "forwarded_tokens",
    "generated_tokens": "generated_tokens",
    "changed_tokens": "changed_tokens",
    "pass_seconds": "generation_seconds",
    "train_seconds": "seconds",
}
"""What is summed over a method's rounds: columns of ``RUNS``, and the facts of variants."""

RUNS = ("experiment", "seed", "method", "failed", *SUMMED)


def collect(
    spec: CollectSpec, files: Mapping[str, Sequence[Path]]
) -> tuple[dict[str, pandas.DataFrame], dict[str, Any]]:
    """``(frames, manifests)`` of all runs.

    ``files``: ``scores``, ``positions``, ``curves`` and ``manifests`` of each run of the
    spec, in its order.

    Frames: ``scores`` (one row an answer), ``positions``, ``curves`` and ``runs`` (what
    each method cost), each with columns experiment and seed.
    """
    import pandas as pd

    parts: dict[str, list[pandas.DataFrame]] = {
        name: [] for name in ("scores", "positions", "curves")
    }
    costs: list[list[Any]] = []
    told = {}
    for number, (experiment, seed) in enumerate(spec.runs):
        for name, frames in parts.items():
            frame = read_frame(files[name][number])
            frames.append(frame.assign(experiment=experiment, seed=seed))
        path = files["manifests"][number]
        manifest = manifests.read(path)
        told[path.parent.as_posix()] = manifest
        costs += [[experiment, seed, *cost] for cost in _costs(manifest)]
    frames_of = {
        name: pd.concat(
            [f for f in frames if not f.empty] or [pd.DataFrame()], ignore_index=True
        )
        for name, frames in parts.items()
    }
    if "nll" in frames_of["scores"]:
        # Three decimals are more than is shown, and a third of the file.
        frames_of["scores"]["nll"] = (
            frames_of["scores"]["nll"].round(3).astype("float32")
        )
    return frames_of | {"runs": pd.DataFrame(costs, columns=list(RUNS))}, told


def _costs(manifest: dict[str, Any]) -> list[list[Any]]:
    """One line a method: sums over its rounds."""
    methods: dict[str, list[dict[str, Any]]] = {}
    for variant in manifest["spec"]["variants"]:
        facts = manifest["variants"].get(variant["name"])
        if facts:
            methods.setdefault(variant["declared"], []).append(facts)
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


def step(spec: CollectSpec, job: Job) -> dict[str, Any]:
    """The tables that renderings read, of all experiments and seeds."""
    frames, told = collect(spec, job.inputs)
    names = ("positions", "curves", "runs")
    scores = parquet(frames["scores"], compression="zstd")
    job.write({"scores": scores} | {n: frames[n].to_csv(index=False) for n in names})
    write_json(job.output("manifests"), told)
    return {}

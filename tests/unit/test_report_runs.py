"""Manifests by their path: what was trained, and what it cost."""

from __future__ import annotations

from selfgen.report.runs import collect_curves, collect_runs
from selfgen.report.spec import Cell, CollectSpec

SPEC = CollectSpec(
    cells=(
        Cell("qa", "-", "lead-1", "direct", 0),
        Cell("qa", "m", "base", "direct", 0),
        Cell("qa", "m", "bash", "direct", 0),
        Cell("qa", "m", "rac", "direct", 0),
        Cell("qa", "m", "rac", "corrected", 0),
    ),
    parents={"base": None, "bash": "sft", "rac": "sft"},
    nodes={"base": ("base",), "bash": ("bash",), "rac": ("rac.r1", "rac")},
    passes={
        "base": (),
        "bash": ("sft/forced",),
        "rac": ("sft/free-r1", "rac.r1/free-r2"),
    },
)
RUN = {"device": "cpu", "precision": "fp32", "peak_memory_mb": 10.0}
RUN |= {"started_at": 100.0, "wall_seconds": 9.0}


def generated(tokens: int, seconds: float) -> dict[str, object]:
    return RUN | {"generated_tokens": tokens, "generation_seconds": seconds}


def trained(steps: int, labelled: int, forwarded: int) -> dict[str, object]:
    return RUN | {
        "steps": steps,
        "labelled_tokens": labelled,
        "forwarded_tokens": forwarded,
        "seconds": 2.0,
    }


MANIFESTS = {
    "results/models/qa/m/bash/seed0/manifest.json": trained(4, 40, 100),
    "results/passes/qa/m/sft/forced/seed0/shard0.json": generated(30, 1.0),
    "results/passes/qa/m/sft/forced/seed0/shard1.json": generated(20, 1.0),
    "results/models/qa/m/rac.r1/seed0/manifest.json": trained(2, 20, 50),
    "results/models/qa/m/rac/seed0/manifest.json": trained(3, 30, 60),
    "results/passes/qa/m/sft/free-r1/seed0/shard0.json": generated(70, 1.0),
    "results/passes/qa/m/rac.r1/free-r2/seed0/shard0.json": generated(7, 1.0),
    "results/answers/qa/m/rac/direct/seed0/shard0.json": generated(8, 2.0),
    "results/answers/qa/m/rac/corrected/seed0/shard0.json": generated(12, 2.0)
    | {"peak_memory_mb": 11.0},
}


def test_runs_and_timings() -> None:
    runs, timings = collect_runs(MANIFESTS, SPEC)
    assert runs.values.tolist() == [
        ["qa", "m", "base", 0, "", 0, 0, 0, 0],
        ["qa", "m", "bash", 0, "sft", 4, 40, 100, 50],
        # A method of two rounds: the sum of both.
        ["qa", "m", "rac", 0, "sft", 5, 50, 110, 77],
    ]
    columns = ["method", "stage", "seconds", "tokens", "peak_memory_mb"]
    assert timings[columns].values.tolist() == [
        ["bash", "pass", 1.0, 30, 10.0],
        ["bash", "pass", 1.0, 20, 10.0],
        ["bash", "train", 2.0, 100, 10.0],
        ["rac", "pass", 1.0, 70, 10.0],
        ["rac", "pass", 1.0, 7, 10.0],
        ["rac", "train", 2.0, 50, 10.0],
        ["rac", "train", 2.0, 60, 10.0],
        ["rac", "answers", 2.0, 8, 10.0],
        ["rac", "answers", 2.0, 12, 11.0],
    ]
    assert set(timings["started_at"]) == {100.0}
    assert set(timings["wall_seconds"]) == {9.0}


def test_curves() -> None:
    line = '{"step": 0, "loss": 2.5, "learning_rate": 0.1, "tokens_per_second": 9}\n'
    frame = collect_curves({"results/models/qa/m/bash/seed3/curve.jsonl": line})
    assert frame.values.tolist() == [["qa", "m", "bash", 3, 0, 2.5, 0.1]]

"""From manifests: what was trained, and what it cost."""

from __future__ import annotations

from selfgen.generation.gather import merged
from selfgen.report.runs import collect_curves, collect_runs
from selfgen.report.spec import Cell, CollectSpec, Passed, Trained

SPEC = CollectSpec(
    cells=(
        Cell("qa", "-", "lead-1", "direct", 0),
        Cell("qa", "m", "base", "direct", 0),
        Cell("qa", "m", "bash", "direct", 0),
        Cell("qa", "m", "rac", "direct", 0),
        Cell("qa", "m", "rac", "corrected", 0),
    ),
    parents={"base": None, "bash": "sft", "random": "sft", "rac": "sft"},
    trained=(
        Trained("qa", "m", "bash", 0),
        Trained("qa", "m", "rac.r1", 0),
        Trained("qa", "m", "rac", 0),
    ),
    checkpoints={"base": "base", "bash": "bash", "rac.r1": "rac", "rac": "rac"}
    | {"random": "random"},
    passed=(
        Passed("qa", "m", 0, ("bash", "random")),
        Passed("qa", "m", 0, ("rac.r1",)),
        Passed("qa", "m", 0, ("rac",)),
    ),
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


TRAINED = [trained(4, 40, 100), trained(2, 20, 50), trained(3, 30, 60)]
PASSED = [
    generated(50, 2.0) | {"changed_tokens": 5},
    generated(70, 1.0) | {"drafts": 8, "right_drafts": 3},
    generated(7, 1.0) | {"drafts": 2, "right_drafts": 1},
]
ANSWERS = [
    generated(5, 2.0),
    generated(6, 2.0),
    generated(8, 2.0),
    generated(12, 2.0) | {"peak_memory_mb": 11.0},
]


def test_runs_and_timings() -> None:
    runs, timings = collect_runs(SPEC, TRAINED, PASSED, ANSWERS)
    # Not a number: left empty.
    assert runs.astype(object).where(runs.notna(), None).values.tolist() == [
        ["qa", "m", "base", 0, "", 0, 0, 0, 0, None, None],
        ["qa", "m", "bash", 0, "sft", 4, 40, 100, 50, 0.1, None],
        # A method of two rounds: of both.
        ["qa", "m", "rac", 0, "sft", 5, 50, 110, 77, None, 0.4],
    ]
    columns = ["method", "stage", "seconds", "tokens", "peak_memory_mb"]
    assert timings[columns].values.tolist() == [
        ["base", "answers", 2.0, 5, 10.0],
        ["bash", "pass", 2.0, 50, 10.0],
        ["bash", "train", 2.0, 100, 10.0],
        ["bash", "answers", 2.0, 6, 10.0],
        ["rac", "pass", 1.0, 70, 10.0],
        ["rac", "pass", 1.0, 7, 10.0],
        ["rac", "train", 2.0, 50, 10.0],
        ["rac", "train", 2.0, 60, 10.0],
        ["rac", "answers", 2.0, 8, 10.0],
        ["rac", "answers", 2.0, 12, 11.0],
    ]
    assert set(timings["started_at"]) == {100.0}
    assert set(timings["wall_seconds"]) == {9.0}


def test_what_a_training_draws_counts_as_a_pass() -> None:
    """Its seconds are apart from those of training, and its job is one."""
    drawn = {"generated_tokens": 40, "changed_tokens": 8, "generation_seconds": 3.0}
    drawn |= {"drawn_tokens": 10, "precision": "bf16"}
    online = [trained(4, 40, 100) | drawn, *TRAINED[1:]]
    runs, timings = collect_runs(SPEC, online, PASSED, ANSWERS)
    line = runs[runs["method"] == "bash"].iloc[0]
    assert (line["forwarded_tokens"], line["generated_tokens"]) == (100, 50 + 40)
    assert line["changed_share"] == (5 + 8) / (50 + 40)
    columns = ["stage", "seconds", "tokens", "dtype", "wall_seconds"]
    found = timings[(timings["method"] == "bash") & (timings["stage"] != "answers")]
    assert found[columns].values.tolist() == [
        ["pass", 3.0, 40, "float32", 0.0],
        ["pass", 2.0, 50, "float32", 9.0],
        ["train", 2.0, 100, "float32", 9.0],
    ]


def test_curves() -> None:
    line = '{"step": 0, "loss": 2.5, "learning_rate": 0.1, "tokens_per_second": 9}\n'
    frame = collect_curves(SPEC, [line, "", line])
    assert frame.values.tolist() == [
        ["qa", "m", "bash", 0, 0, 2.5, 0.1],
        ["qa", "m", "rac", 0, 0, 2.5, 0.1],
    ]


def test_what_was_made_in_parts_is_one_job() -> None:
    """Sums, the most memory, and the time from the first start to the last end."""
    parts = [
        generated(5, 2.0) | {"engine": "speculative", "started_at": 100.0},
        generated(6, 1.5) | {"engine": "sequential", "started_at": 107.0},
    ]
    for part, passes, forwarded, projected in zip(
        parts, (2, 3), (30, 30), (7, 9), strict=True
    ):
        part |= {"passes": passes, "forwarded_tokens": forwarded}
        part |= {"projected_tokens": projected}
    found = merged([part | {"spec": {}, "outputs": {}} for part in parts])
    assert found == RUN | {
        **{"generated_tokens": 11, "generation_seconds": 3.5},
        **{"passes": 5, "forwarded_tokens": 60, "projected_tokens": 16},
        **{"engine": ["speculative", "sequential"]},
        **{"started_at": 100.0, "wall_seconds": 16.0},
    }

"""Progress lines of a long step: how far it is, and how long is left."""

from __future__ import annotations

import pytest

from selfgen.runtime import progress


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch):
    """Sets the clock, in seconds."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])

    def set_to(seconds: float) -> None:
        now[0] = seconds

    return set_to


def test_batches_of_many(at, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    clock = progress.Progress("answers", "prompts")
    at(30.0)
    clock(64, 128)
    at(60.0)
    clock(128, 128)
    assert caplog.messages == [
        "answers: prompts 64 of 128, 30 s left",
        "answers: prompts 128 of 128, 0 s left",
    ]


def test_a_resumed_step_counts_from_where_it_started(
    at, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    clock = progress.Progress("train", "step", resumes=True)
    at(20.0)
    clock(51, 60)
    at(40.0)
    clock(52, 60)
    assert caplog.messages == [
        "train: step 51 of 60, 3 min left",
        "train: step 52 of 60, 3 min left",
    ]


def test_lines_come_at_most_every_ten_seconds(
    at, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    clock = progress.Progress("train", "step", resumes=True)
    for second in range(1, 31):
        at(second)
        clock(second, 40)
    assert len(caplog.messages) == 3
    assert caplog.messages[-1] == "train: step 30 of 40, 10 s left"

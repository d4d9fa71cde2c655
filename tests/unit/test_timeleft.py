"""The estimate of the time left, hand-worked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_logger_plugin_selfgen.estimate import Estimate


def test_one_job_at_a_time() -> None:
    estimate = Estimate({"train": 3, "score": 2})
    estimate.start(1, "train", 100.0)
    assert estimate.left(105.0) is None  # nothing has finished
    estimate.finish(1, 110.0)
    # two of 10 s, and two of which nothing is known yet
    assert estimate.left(110.0) == pytest.approx(40.0)
    estimate.start(2, "score", 110.0)
    assert estimate.left(111.0) is None  # a rule runs for the first time
    estimate.finish(2, 112.0)
    # two of 10 s and one of 2 s
    assert estimate.done == 2
    assert estimate.left(112.0) == pytest.approx(22.0)
    estimate.start(3, "train", 112.0)
    assert estimate.left(116.0) == pytest.approx(18.0)
    # one that is late is not expected to end earlier than now
    assert estimate.left(130.0) == pytest.approx(12.0)


def test_silent_at_the_start() -> None:
    estimate = Estimate({"fetch": 4, "train": 16})
    for job in range(4):
        estimate.start(job, "fetch", float(job))
        estimate.finish(job, job + 1.0)
        assert (estimate.left(job + 1.0) is None) == (job < 3)


def test_two_jobs_side_by_side() -> None:
    estimate = Estimate({"train": 4})
    estimate.start(1, "train", 0.0)
    estimate.start(2, "train", 0.0)
    estimate.finish(1, 10.0)
    estimate.finish(2, 10.0)
    assert estimate.left(10.0) == pytest.approx(10.0)


@given(st.lists(st.floats(0.1, 1e4), min_size=1, max_size=20))
def test_nothing_is_left_after_the_last_job(lasts: list[float]) -> None:
    estimate, now = Estimate({"train": len(lasts)}), 0.0
    for job, seconds in enumerate(lasts):
        estimate.start(job, "train", now)
        now += seconds
        estimate.finish(job, now)
    assert estimate.left(now) == pytest.approx(0.0)
    assert estimate.done == len(lasts)

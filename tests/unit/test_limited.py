"""Calls with a time limit, in a process of their own."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from selfgen.runtime.limited import TimedOut, call


def test_results_and_errors() -> None:
    assert call("operator:add", 1, 2, seconds=5) == 3
    assert call("os:getpid", seconds=5) == call("os:getpid", seconds=5) != os.getpid()
    with pytest.raises(RuntimeError, match="operator:truediv: ZeroDivisionError: "):
        call("operator:truediv", 1, 0, seconds=5)
    # What a function prints is no result.
    assert call("builtins:print", "{}", seconds=5) is None


def test_what_takes_too_long_is_ended() -> None:
    """Also an operation in C that no signal ends; and the next call has a new process."""
    for function, args in (("time:sleep", [60]), ("operator:pow", [9, 9**9])):
        started = time.monotonic()
        with pytest.raises(TimedOut):
            call(function, *args, seconds=0.5)
        assert time.monotonic() - started < 50
        assert call("operator:add", 1, 2, seconds=5) == 3


def test_waiting_for_a_processor_is_not_working() -> None:
    """A machine that is busy with something else ends nothing: a sleep needs none of it."""
    assert call("time:sleep", 1.5, seconds=0.5) is None


def test_a_process_that_dies_is_no_answer() -> None:
    with pytest.raises(TimedOut):
        call("os:abort", seconds=5)
    assert call("operator:add", 1, 2, seconds=5) == 3


def test_calls_of_threads_do_not_mix() -> None:
    with ThreadPoolExecutor(8) as pool:
        found = [*pool.map(lambda i: call("operator:add", i, i, seconds=5), range(64))]
    assert found == [2 * i for i in range(64)]

"""Free-running error at equal teacher-forced error, by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from selfgen.report.synthetic.frontier import at_level, by_seed


def curve(*errors: tuple[float, float]) -> pd.DataFrame:
    rows = [(100 * (i + 1), *pair) for i, pair in enumerate(errors)]
    return pd.DataFrame(rows, columns=["step", "forced_error", "free_error"])


def test_on_the_line_between_two_steps() -> None:
    """From .5 to .3 the level .4 is half the way, from .3 to .1 the level .15 is three
    quarters of it."""
    found = curve((0.5, 0.6), (0.3, 0.4), (0.1, 0.2))
    assert at_level(found, 0.4) == pytest.approx(0.5)
    assert at_level(found, 0.15) == pytest.approx(0.25)
    assert at_level(found, 0.3) == pytest.approx(0.4)
    assert at_level(found.iloc[::-1], 0.15) == pytest.approx(0.25)


def test_the_first_fall_counts() -> None:
    assert at_level(curve((0.5, 0.6), (0.2, 0.4), (0.6, 0.9), (0.2, 0.3)), 0.2) == 0.4


def test_a_level_that_is_not_met_between_two_steps_has_no_error() -> None:
    assert at_level(curve((0.5, 0.6), (0.3, 0.4)), 0.2) is None
    assert at_level(curve((0.1, 0.6), (0.05, 0.4)), 0.2) is None
    assert at_level(curve((0.2, 0.6), (0.1, 0.4)), 0.2) == 0.6


def test_by_method_and_seed() -> None:
    parts = [
        curve((0.4, 0.5), (0.2, 0.3)).assign(method="a", seed=0),
        curve((0.4, 0.7), (0.2, 0.5)).assign(method="a", seed=1),
        curve((0.4, 0.5), (0.35, 0.3)).assign(method="b", seed=0),
    ]
    found = by_seed(pd.concat(parts), 0.3)
    assert found == {"a": {0: pytest.approx(0.4), 1: pytest.approx(0.6)}}

"""The bootstrap: against scipy, against the truth, its pairing of seeds and items."""

import time

import numpy as np
import pytest

from selfgen.core.errors import UserError
from selfgen.evaluation.statistics import (
    Bootstrap,
    holm,
    mean_interval,
    paired_difference,
    smallest_detectable,
)

HOW = Bootstrap(samples=2000, confidence=0.95, seed=0)


def _values(matrix):
    return {
        seed: {f"i{i}": float(value) for i, value in enumerate(row)}
        for seed, row in enumerate(np.atleast_2d(matrix))
    }


def test_one_seed_agrees_with_scipy():
    from scipy.stats import bootstrap

    data = np.random.default_rng(1).exponential(size=80)
    ours = mean_interval(_values(data), Bootstrap(20000, 0.9, 0), ["x"])
    theirs = bootstrap(
        (data,),
        np.mean,
        n_resamples=20000,
        confidence_level=0.9,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours.value == pytest.approx(data.mean())
    assert ours.low == pytest.approx(theirs.low, abs=0.03 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.03 * width)


def test_the_interval_covers_the_truth_with_one_seed():
    rng = np.random.default_rng(3)
    covered = 0
    for i in range(300):
        interval = mean_interval(_values(rng.normal(1, 2, 60)), HOW, [str(i)])
        covered += interval.low <= 1 <= interval.high
    assert 0.90 <= covered / 300 <= 0.98


def test_the_interval_covers_the_truth_with_shared_items():
    # Item difficulty is shared by the seeds: resampling items inside each seed would
    # cover about 75 % here.
    rng = np.random.default_rng(4)
    covered = 0
    for i in range(300):
        matrix = rng.normal(0, 1, 60) + rng.normal(0, 0.5, (3, 60))
        interval = mean_interval(_values(matrix), HOW, [str(i)])
        covered += interval.low <= 0 <= interval.high
    assert 0.90 <= covered / 300 <= 0.98


def test_seeds_that_disagree_widen_the_interval():
    items = np.random.default_rng(5).normal(0, 0.1, 50)
    agree = mean_interval(_values([items, items, items]), HOW, ["x"])
    differ = mean_interval(_values([items - 1, items, items + 1]), HOW, ["x"])
    assert differ.high - differ.low > 10 * (agree.high - agree.low)
    assert (agree.seeds, agree.n) == (3, 50)


def test_draws_depend_on_the_seed_alone():
    values = _values(np.random.default_rng(6).normal(size=(2, 30)))
    backwards = {s: dict(reversed(values[s].items())) for s in reversed(values)}
    assert mean_interval(values, HOW, ["a"]) == mean_interval(backwards, HOW, ["a"])
    assert mean_interval(values, HOW, ["a"]) == mean_interval(values, HOW, ["b"])
    other = Bootstrap(2000, 0.95, 1)
    assert mean_interval(values, HOW, ["a"]) != mean_interval(values, other, ["a"])


def test_a_difference_is_paired_by_item():
    items = np.random.default_rng(7).normal(0, 10, 40)
    found = paired_difference(_values(items + 1), _values(items), HOW, ["x"])
    assert found.value == pytest.approx(1)
    assert (found.low, found.high) == pytest.approx((1, 1))
    assert found.sign == 1
    assert found.p == pytest.approx(2 / 2001)


def test_no_difference_has_p_one():
    values = _values(np.arange(10.0))
    found = paired_difference(values, values, HOW, ["x"])
    assert (found.value, found.se, found.p, found.sign) == (0, 0, 1, 0)


def test_only_shared_items_and_seeds_count():
    a = {0: {"i": 1.0, "j": 1.0}, 1: {"i": 2.0, "j": 9.0}, 2: {"i": 9.0, "j": 9.0}}
    b = {0: {"i": 0.0, "k": 9.0}, 1: {"i": 0.0, "k": 9.0}, 3: {"i": 5.0, "k": 9.0}}
    found = paired_difference(a, b, HOW, ["x"])
    assert (found.value, found.n, found.seeds) == (1.5, 1, 2)


def test_a_single_seed_pairs_with_each_seed_of_the_other():
    one, three = _values([0.0, 2.0]), _values([[1.0, 3.0], [2.0, 4.0], [3.0, 5.0]])
    assert paired_difference(three, one, HOW, ["x"]).value == pytest.approx(2)
    found = paired_difference(one, three, HOW, ["x"])
    assert (found.value, found.seeds) == (pytest.approx(-2), 3)


def test_nothing_shared_is_an_error():
    a = {0: {"i": 1.0}, 1: {"i": 1.0}}
    with pytest.raises(UserError, match="x y: no seed in common"):
        paired_difference(a, {2: {"i": 1.0}, 3: {"i": 1.0}}, HOW, ["x", "y"])
    with pytest.raises(UserError, match="no item that every seed has"):
        paired_difference(a, {0: {"j": 1.0}, 1: {"j": 1.0}}, HOW, ["x"])


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_smallest_detectable_is_the_textbook_number():
    assert smallest_detectable(1.0, 0.95) == pytest.approx(1.96 + 0.8416, abs=1e-3)


def test_ten_thousand_samples_take_less_than_a_second():
    rng = np.random.default_rng(8)
    a, b = (_values(rng.normal(size=(3, 200))) for _ in range(2))
    start = time.perf_counter()
    paired_difference(a, b, Bootstrap(10000, 0.95, 0), ["x"])
    assert time.perf_counter() - start < 1


def test_sums_that_cancel_count_as_zero_on_every_cpu() -> None:
    """Tenths are no binary numbers: 0.1 + 0.2 - 0.3 is not 0, but 1 + 2 - 3 is."""
    whole = {seed: {f"i{i}": (1, 2, -3)[i % 3] for i in range(9)} for seed in range(3)}
    tenths = {k: {i: v / 10 for i, v in row.items()} for k, row in whole.items()}
    zeros = {k: dict.fromkeys(row, 0.0) for k, row in whole.items()}
    p = [paired_difference(side, zeros, HOW, ["x"]).p for side in (whole, tenths)]
    assert p[0] == p[1]

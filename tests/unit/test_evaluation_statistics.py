"""Intervals and tests: against scipy, against the truth, and where there is nothing to test.

How often they cover is simulated in ``tests/coverage.py``."""

import math
import time

import numpy as np
import pytest
from scipy import stats

from selfgen.core.errors import UserError
from selfgen.evaluation import crossed
from selfgen.evaluation.statistics import (
    divided,
    holm,
    mean_interval,
    paired_difference,
    ratio_interval,
    sums_interval,
)
from selfgen.report.grid import bracketed, numbers, scope_notes


def _values(matrix):
    return {
        seed: {f"i{i}": float(value) for i, value in enumerate(row)}
        for seed, row in enumerate(np.atleast_2d(matrix))
    }


def _zeros(matrix):
    return _values(np.zeros_like(np.atleast_2d(matrix)))


def _difference(matrix, confidence=0.95):
    return paired_difference(_values(matrix), _zeros(matrix), confidence, ["x"])


def test_one_seed_is_the_t_test_over_items():
    data = np.random.default_rng(1).normal(0.2, 1, 80)
    found, theirs = _difference(data), stats.ttest_1samp(data, 0)
    interval = theirs.confidence_interval(0.95)
    assert found.p == pytest.approx(theirs.pvalue, rel=1e-4)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_where_only_seeds_differ_it_is_the_t_test_over_seeds():
    seeds = np.array([0.5, 1.5, 2.5, 1.0])
    found = _difference(np.repeat(seeds[:, None], 50, 1))
    theirs = stats.ttest_1samp(seeds, 0)
    interval = theirs.confidence_interval(0.95)
    assert found.p == pytest.approx(theirs.pvalue, rel=1e-3)
    assert (found.low, found.high) == pytest.approx(
        (interval.low, interval.high), rel=1e-3
    )


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_p_is_small_exactly_where_the_interval_excludes_zero(confidence):
    rng = np.random.default_rng(2)
    for _ in range(60):
        seeds, items = rng.integers(1, 7), rng.integers(2, 40)
        spread, shift = rng.random(2)
        matrix = shift + rng.normal(0, spread, (seeds, 1))
        found = _difference(matrix + rng.normal(0, 1, (seeds, items)), confidence)
        if abs(found.p - (1 - confidence)) > 1e-3:
            excluded = found.low > 0 or found.high < 0
            assert (found.p < 1 - confidence) == excluded


@pytest.mark.parametrize("seeds", [2, 3, 6])
def test_the_variance_is_that_of_the_mean(seeds):
    rng = np.random.default_rng(3)
    of_seeds, of_items, rest, items = 0.3, 1.0, 2.0, 20
    answers = (
        rng.normal(0, of_seeds, (20000, seeds, 1))
        + rng.normal(0, of_items, (20000, 1, items))
        + rng.normal(0, rest, (20000, seeds, items))
    )
    true = of_seeds**2 / seeds + (of_items**2 + rest**2 / seeds) / items
    assert answers.mean((1, 2)).var() == pytest.approx(true, rel=0.05)
    assert crossed.error(answers).variance.mean() == pytest.approx(true, rel=0.05)


def test_a_share_stays_between_0_and_1_and_is_wilsons():
    right = np.repeat([1.0, 0.0], [3, 97])
    found = mean_interval(_values(right), 0.95, ["x"])
    theirs = stats.binomtest(3, 100).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), rel=0.02)
    plain = mean_interval(_values(right), 0.95, ["x"], share=False)
    assert plain.low < 0 < found.low
    assert plain.high - plain.value == pytest.approx(plain.value - plain.low)


def test_seeds_that_disagree_widen_the_interval():
    items = np.random.default_rng(5).normal(0, 0.1, 50)
    agree, differ = (
        mean_interval(_values([items - x, items, items + x]), 0.95, ["x"], share=False)
        for x in (0, 1)
    )
    assert differ.high - differ.low > 10 * (agree.high - agree.low)
    assert (agree.seeds, agree.n) == (3, 50)


def test_the_order_of_seeds_and_items_does_not_matter():
    values = _values(np.random.default_rng(6).normal(size=(2, 30)))
    backwards = {s: dict(reversed(values[s].items())) for s in reversed(values)}
    ways = (mean_interval(x, 0.95, ["a"], share=False).low for x in (values, backwards))
    assert next(ways) == next(ways)


def test_a_difference_is_paired_by_item():
    rng = np.random.default_rng(7)
    items = rng.normal(0, 10, 40)
    found = paired_difference(
        _values(items + 1 + rng.normal(0, 0.1, 40)), _values(items), 0.95, ["x"]
    )
    assert found.value == pytest.approx(1, abs=0.1)
    assert found.high - found.low < 0.2
    assert found.sign == 1


@pytest.mark.parametrize("value", [0.0, 0.1])
def test_where_all_items_are_equal_nothing_is_tested(value):
    found = _difference(np.full((3, 10), value))
    assert (found.low, found.high) == pytest.approx((value, value))
    assert (found.equal, found.p, found.sign, found.detectable) == (True, 1, 0, 0)
    assert bracketed(found).below.endswith("all equal")
    assert any("all equal" in note.lower() for note in scope_notes([found]))


def test_of_answers_that_are_all_wrong_some_could_have_been_right():
    found = mean_interval(_values(np.zeros((3, 128))), 0.95, ["x"])
    theirs = stats.binomtest(0, 128).proportion_ci(method="wilson")
    assert (found.value, found.low, found.equal) == (0, 0, True)
    assert found.high == pytest.approx(theirs.high, rel=0.02)


def test_one_item_has_no_interval():
    found = mean_interval(_values([[0.5], [0.7]]), 0.95, ["x"])
    assert found.value == pytest.approx(0.6) and math.isnan(found.low)
    assert numbers(found) == [pytest.approx(0.6), None, None]
    assert bracketed(found).below == "one item"
    one = _difference([[0.5], [0.7]])
    assert (one.p, one.sign, one.equal) == (1, 0, False)


def test_a_value_that_is_no_number_is_refused():
    values = _values(np.ones((2, 3)))
    values[1]["i2"] = float("nan")
    expected = "^x y: found nan for item i2 of seed 1, allowed are finite numbers$"
    for call in (
        lambda: mean_interval(values, 0.95, ["x", "y"]),
        lambda: paired_difference(values, _values(np.ones((2, 3))), 0.95, ["x", "y"]),
        lambda: ratio_interval(values, values, 0.95, ["x", "y"]),
    ):
        with pytest.raises(UserError, match=expected):
            call()


def test_items_that_some_seeds_lack_count_where_they_are():
    rng = np.random.default_rng(8)
    values = _values(rng.random((3, 40)))
    whole = mean_interval(values, 0.95, ["x"])
    del values[1]["i3"]
    found = mean_interval(values, 0.95, ["x"])
    left = [x for row in values.values() for x in row.values()]
    assert found.value == pytest.approx(np.mean(left)) and found.n == 40
    assert found.high - found.low == pytest.approx(whole.high - whole.low, rel=0.05)
    # An item that no seed has is no item.
    for row in values.values():
        row.pop("i3", None)
    assert mean_interval(values, 0.95, ["x"]).n == 39


def test_missing_answers_leave_the_coverage_as_it_is():
    rng = np.random.default_rng(9)
    covered = 0
    for run in range(300):
        matrix = rng.normal(0, 1, 60) + rng.normal(0, 0.5, (3, 60))
        values = {
            seed: {f"i{i}": x for i, x in enumerate(row) if rng.random() < 0.8}
            for seed, row in enumerate(matrix)
        }
        found = mean_interval(values, 0.95, [str(run)], share=False)
        covered += found.low <= 0 <= found.high
    assert 0.92 <= covered / 300 <= 0.99


def test_only_shared_items_and_seeds_count():
    a = {0: {"i": 1.0, "j": 1.0}, 1: {"i": 2.0, "j": 9.0}, 2: {"i": 9.0, "j": 9.0}}
    b = {0: {"i": 0.0, "k": 9.0}, 1: {"i": 0.0, "k": 9.0}, 3: {"i": 5.0, "k": 9.0}}
    found = paired_difference(a, b, 0.95, ["x"])
    assert (found.value, found.n, found.seeds) == (1.5, 1, 2)


def test_a_single_seed_pairs_with_each_seed_of_the_other():
    one, three = _values([0.0, 2.0]), _values([[1.0, 3.0], [2.0, 4.0], [3.0, 5.0]])
    assert paired_difference(three, one, 0.95, ["x"]).value == pytest.approx(2)
    found = paired_difference(one, three, 0.95, ["x"])
    assert (found.value, found.seeds) == (pytest.approx(-2), 3)
    # The other side's single seed says nothing of its others.
    assert not found.over_seeds


def test_nothing_shared_is_an_error():
    a = {0: {"i": 1.0}, 1: {"i": 1.0}}
    with pytest.raises(UserError, match="x y: no seed in common"):
        paired_difference(a, {2: {"i": 1.0}, 3: {"i": 1.0}}, 0.95, ["x", "y"])
    with pytest.raises(UserError, match="x: no item of seed 0"):
        paired_difference(a, {0: {"j": 1.0}, 1: {"j": 1.0}}, 0.95, ["x"])


def test_a_ratio_of_wholes_of_one_is_the_mean():
    right = np.random.default_rng(10).random((4, 60)) < 0.3
    found = ratio_interval(_values(right), _values(np.ones((4, 60))), 0.95, ["x"])
    assert found == mean_interval(_values(right), 0.95, ["x"])


def test_a_ratio_is_no_mean_of_ratios():
    parts, wholes = _values([[1, 0, 3, 2]]), _values([[2, 0, 4, 4]])
    found = ratio_interval(parts, wholes, 0.95, ["x"])
    assert found and found.value == pytest.approx(0.6)
    assert ratio_interval(_values([[0, 0]]), _values([[0, 0]]), 0.95, ["x"]) is None


def test_any_function_of_sums_has_the_error_of_its_parts():
    rng = np.random.default_rng(11)
    tops, bottoms = rng.random((3, 50)), 1 + rng.random((3, 50))
    table = np.stack([tops, bottoms], -1)
    found = sums_interval(table, lambda s: divided(s[:, 0], s[:, 1]) - 1, 0.95)
    value = tops.sum() / bottoms.sum()
    # By hand: the linearised parts of a ratio.
    parts = (tops - value * bottoms) / bottoms.mean()
    by_hand = mean_interval(_values(parts), 0.95, ["x"], share=False)
    assert found and found.value == pytest.approx(value - 1)
    assert found.high - found.value == pytest.approx(by_hand.high - by_hand.value)
    none = sums_interval(table * [1, 0], lambda s: divided(s[:, 0], s[:, 1]), 0.95)
    assert none is None


def test_one_seed_and_two_claim_nothing_of_seeds():
    rng = np.random.default_rng(12)
    shifted = 5 + rng.normal(size=(3, 30))
    one, two, three = (_difference(shifted[:k]) for k in (1, 2, 3))
    assert [x.over_seeds for x in (one, two, three)] == [False, False, True]
    assert [x.sign for x in (one, two, three)] == [1, 0, 1]
    assert [bracketed(x).below[-1] for x in (one, two, three)] == ["‡", "§", "]"]
    assert len(scope_notes([one, two, three])) == 2


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_smallest_detectable_is_the_textbook_number():
    error = crossed.Error(np.array(0.0), np.array(1.0), 1, 100000)
    found = crossed.smallest_detectable(error, 0.95)
    assert found == pytest.approx(1.96 + 0.8416, abs=1e-3)


def test_smallest_detectable_of_few_seeds_is_that_of_a_t_test():
    """Noncentral t with k - 1 degrees of freedom, of a variance known by its median."""
    for seeds in (3, 6):
        error = crossed.Error(np.array(1.0), np.array(0.0), seeds, 500)
        found = float(crossed.smallest_detectable(error, 0.95))
        true = ((seeds - 1) / stats.chi2.median(seeds - 1)) ** 0.5
        reach = stats.t.ppf(0.975, seeds - 1)
        power = stats.nct.sf(reach, seeds - 1, found / true)
        assert power == pytest.approx(0.8, abs=0.003)


def test_seeds_needed_are_those_of_a_t_test() -> None:
    """Of 40 seeds whose differences vary by 1: as many as a t test with known power needs."""
    error = crossed.Error(np.array(1 / 40), np.array(0.0), 40, 500)
    true = (39 / stats.chi2.median(39)) ** 0.5

    def power(seeds: int, difference: float) -> float:
        reach = stats.t.ppf(0.975, seeds - 1)
        return float(
            stats.nct.sf(reach, seeds - 1, difference * seeds**0.5 / true)
            + stats.nct.cdf(-reach, seeds - 1, difference * seeds**0.5 / true)
        )

    for difference in (0.6, 1.0, 2.0):
        expected = next(k for k in range(3, 99) if power(k, difference) > 0.8)
        assert crossed.seeds_needed(error, difference, 0.95, 30) == expected
    assert crossed.seeds_needed(error, 0.1, 0.95, 30) is None


def test_items_that_differ_are_not_made_good_by_seeds() -> None:
    error = crossed.Error(np.array(0.01), np.array(1.0), 5, 100)
    assert crossed.seeds_needed(error, 2.5, 0.95, 1000) is None
    assert crossed.seeds_needed(error, 3.0, 0.95, 1000) == 3


def test_a_table_of_a_hundred_cells_takes_less_than_two_seconds():
    rng = np.random.default_rng(8)
    a, b = (_values(rng.normal(size=(3, 200))) for _ in range(2))
    start = time.process_time()
    for _ in range(100):
        paired_difference(a, b, 0.95, ["x"])
    assert time.process_time() - start < 2


def test_sums_that_cancel_count_as_zero_on_every_cpu() -> None:
    """Tenths are no binary numbers: 0.1 + 0.2 - 0.3 is not 0, but 1 + 2 - 3 is."""
    whole = np.array([[(1, 2, -3)[i % 3] for i in range(9)]] * 3)
    found = [_difference(side) for side in (whole, whole / 10)]
    assert [x.p for x in found] == pytest.approx([1, 1])
    assert _difference(whole[:, :1] * (0.1 + 0.2) - whole[:, :1] * 0.3).sign == 0


def test_weights_pool_what_values_are_means_of() -> None:
    """Errors of 1 of 2 tokens and 0 of 6 are 1 of 8; against 2 of 2 and 3 of 6 it is 4 of 8
    less. With equal weights it is as without."""
    values = {0: {"a": 0.5, "b": 0.0}, 1: {"a": 0.5, "b": 0.0}}
    others = {0: {"a": 1.0, "b": 0.5}, 1: {"a": 1.0, "b": 0.5}}
    weights = {"a": 2, "b": 6}
    mean = mean_interval(values, 0.95, ["x"], weights=weights)
    assert mean.value == pytest.approx(1 / 8)
    found = paired_difference(values, others, 0.95, ["x"], weights=weights)
    assert found.value == pytest.approx(-4 / 8)
    parts = {
        k: {i: weights[i] * v for i, v in row.items()} for k, row in values.items()
    }
    wholes = dict.fromkeys(values, weights)
    assert mean == ratio_interval(parts, wholes, 0.95, ["x"])
    equal = mean_interval(values, 0.95, ["x"], weights={"a": 3, "b": 3})
    assert equal.value == pytest.approx(0.25)
    assert equal.low == pytest.approx(mean_interval(values, 0.95, ["x"]).low)

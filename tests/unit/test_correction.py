"""Two turns by hand, and intervals of functions of sums."""

import numpy as np
import pytest

from selfgen.core.errors import UserError
from selfgen.evaluation.accumulated import accumulated, excess_interval
from selfgen.evaluation.correction import turns
from selfgen.evaluation.statistics import mean_interval, ratio_interval

CONFIDENCE = 0.95


def _values(*rows):
    return {s: dict(zip("abcd", row, strict=True)) for s, row in enumerate(rows)}


DIRECT = _values([0, 0, 1, 1], [0, 0, 0, 1])
CORRECTED = _values([1, 0, 1, 0], [1, 1, 0, 1])


def test_a_zero_one_measure_by_hand():
    texts = (_values("wxyz", "wxyz"), _values("WxyZ", "WXyz"))
    found = turns(DIRECT, CORRECTED, CONFIDENCE, ["cell"], texts=texts)
    assert found.first.value == 3 / 8
    assert found.second.value == 5 / 8
    assert found.gain.value == 2 / 8
    assert found.improved.value == 3 / 8
    assert found.worsened.value == 1 / 8
    assert found.fixed.value == 3 / 5
    assert found.broken.value == 1 / 3
    assert found.edited.value == 4 / 8
    assert (found.fixed.n, found.fixed.seeds) == (4, 2)
    for interval in (found.first, found.gain, found.improved, found.fixed):
        assert interval.low <= interval.value <= interval.high


def test_a_graded_measure_by_hand():
    direct = _values([0.1, 0.5, 0.7, 0.0])
    corrected = _values([0.2, 0.4, 0.7, 0.3])
    found = turns(direct, corrected, CONFIDENCE, ["cell"], graded=True)
    assert (found.improved.value, found.worsened.value) == (0.5, 0.25)
    assert found.gain.value == pytest.approx(0.3 / 4)
    assert found.fixed is found.broken is found.edited is None
    with pytest.raises(UserError, match=r"cell: found score 0\.1, allowed are 0 and 1"):
        turns(direct, corrected, CONFIDENCE, ["cell"])


def test_nothing_to_fix_or_to_break():
    all_right, all_wrong = _values([1, 1, 1, 1]), _values([0, 0, 0, 0])
    found = turns(all_right, all_wrong, CONFIDENCE, ["x"])
    assert found.fixed is None
    assert (found.broken.value, found.broken.high, found.broken.equal) == (1, 1, True)
    found = turns(all_wrong, all_wrong, CONFIDENCE, ["x"])
    assert found.broken is None
    assert found.fixed.value == 0


def test_only_shared_seeds_and_items_count():
    direct = {0: {"a": 0, "b": 0}, 1: {"a": 1}}
    corrected = {0: {"a": 1, "c": 1}, 2: {"a": 0}}
    found = turns(direct, corrected, CONFIDENCE, ["x"])
    assert (found.second.value, found.second.n, found.second.seeds) == (1, 1, 1)
    with pytest.raises(UserError, match="x y: no seed in common"):
        turns({0: {"a": 0}}, {1: {"a": 0}}, CONFIDENCE, ["x", "y"])
    with pytest.raises(UserError, match="x: no item that every seed has"):
        turns({0: {"a": 0}}, {0: {"b": 0}}, CONFIDENCE, ["x"])


def test_a_scored_answer_has_a_text():
    texts = (_values("wxyz", "wxyz"), {0: {"a": "w", "b": "x"}, 1: {}})
    message = "cell: 2 answers of seed 0 without a text: c, d"
    with pytest.raises(UserError, match=message):
        turns(DIRECT, CORRECTED, CONFIDENCE, ["cell"], texts=texts)


def test_the_ratio_to_ones_is_the_mean():
    rng = np.random.default_rng(0)
    rows = rng.normal(1, 1, 60) + rng.normal(0, 0.5, (3, 60))
    values = {s: {f"i{i}": x for i, x in enumerate(r)} for s, r in enumerate(rows)}
    ones = {s: dict.fromkeys(of, 1.0) for s, of in values.items()}
    ratio = ratio_interval(values, ones, 0.9, ["x"])
    mean = mean_interval(values, 0.9, ["x"])
    assert ratio.value == pytest.approx(mean.value)
    width = mean.high - mean.low
    assert ratio.low == pytest.approx(mean.low, abs=0.03 * width)
    assert ratio.high == pytest.approx(mean.high, abs=0.03 * width)


def test_the_interval_of_a_ratio_covers_the_truth():
    # Which answers are wrong differs by seed; an item is as hard, and as easy to mend,
    # under each of them.
    rng = np.random.default_rng(1)
    covered = 0
    for run in range(200):
        hard = rng.normal(size=120)
        wrong = hard + rng.normal(size=(3, 120)) > 0
        fixed = wrong & (rng.random(120) < 0.3)
        sides = [
            {s: {f"i{i}": float(x) for i, x in enumerate(r)} for s, r in enumerate(m)}
            for m in (fixed, wrong)
        ]
        found = ratio_interval(*sides, 0.95, [str(run)])
        covered += found.low <= 0.3 <= found.high
    assert 0.92 <= covered / 200 <= 0.99


def test_the_excess_is_paired_by_prompt_and_knows_its_value():
    rng = np.random.default_rng(0)
    gold = {
        s: {f"i{i}": rng.exponential(1, rng.integers(1, 6)) for i in range(40)}
        for s in range(3)
    }
    twice = {s: {i: 2 * e for i, e in of.items()} for s, of in gold.items()}
    found = excess_interval(twice, gold, 3, CONFIDENCE, ["x"])
    assert (found.value, found.low, found.high) == pytest.approx((100, 100, 100))
    assert (found.n, found.seeds) == (40, 3)
    free = {
        s: {i: e[::-1] + rng.normal(0.5, 0.1, len(e)) for i, e in of.items()}
        for s, of in gold.items()
    }
    found = excess_interval(free, gold, 3, CONFIDENCE, ["x"])
    flat = [[e for of in side.values() for e in of.values()] for side in (free, gold)]
    assert found.value == pytest.approx(accumulated(*flat, [3])[3].excess)
    assert found.low < found.value < found.high
    assert found == excess_interval(free, gold, 3, CONFIDENCE, ["x"])
    assert excess_interval(free, gold, 9, CONFIDENCE, ["x"]) is None
    with pytest.raises(UserError, match="x: no seed in common"):
        excess_interval(free, {7: gold[0]}, 3, CONFIDENCE, ["x"])

"""Each measure by hand, and by chains and effects whose truth is known."""

from __future__ import annotations

import math
import random
import re
from typing import Any

import numpy as np
import pytest

from selfgen.evaluation.accumulated import accumulated, paired
from selfgen.measures import degeneration
from selfgen.measures.base import Measure, Rows, curve, difference, interval
from selfgen.measures.registry import MEASURES, PLACES
from tests.measured_rows import whole

BY_NAME = {measure.name: measure for measure in MEASURES}
RUNS = 150


def value(name: str, rows: Rows) -> float:
    found = interval(BY_NAME[name], rows, 0.95)
    assert found is not None
    return found.value


def under(*rows: dict[str, Any]) -> Rows:
    """Rows of one seed."""
    return {0: {f"p{n}": row for n, row in enumerate(rows)}}


def test_every_measure_has_its_own_name_and_says_what_it_cannot_show() -> None:
    assert len(BY_NAME) == len(MEASURES)
    for measure in MEASURES:
        assert measure.unit
        for text in (measure.definition, measure.cannot):
            assert re.fullmatch(r"[A-Z].*\.", text), measure.name


def test_agreement_by_hand() -> None:
    rows = under(
        {
            "free_wrong": [False, True, False, True],
            "forced_wrong": [False, True, False, False],
        },
        {"free_wrong": [False, False], "forced_wrong": [True, False]},
    )
    assert value("free_wrong", rows) == pytest.approx(2 / 6)
    assert value("forced_wrong", rows) == pytest.approx(2 / 6)
    assert value("excess", rows) == pytest.approx(0)
    # Behind the first wrong one stand two tokens, of which one agrees.
    assert value("recovery", rows) == pytest.approx(1 / 2)
    assert value("first_wrong", rows) == pytest.approx((1 + 2) / 2)


def test_steps_by_hand() -> None:
    rows = under(
        {
            "steps_due": 2,
            "steps_free": ["again", "", "end"],
            "steps_forced": ["", ""],
        },
        {
            "steps_due": 4,
            "steps_free": ["", ""],
            "steps_forced": ["order", "", "", ""],
        },
        {"steps_due": None, "steps_free": None, "steps_forced": None},
    )
    assert value("steps_free", rows) == pytest.approx((1 / 2 + 0) / 2)
    assert value("steps_forced", rows) == pytest.approx((0 + 1 / 4) / 2)
    assert value("steps_excess", rows) == pytest.approx(1 / 4 - 1 / 8)


def test_accumulated_errors_are_those_of_the_tables_of_a_run() -> None:
    stream = random.Random(1)
    free, gold = (
        [
            [stream.random() for _ in range(stream.choice((20, 32, 40)))]
            for _ in range(9)
        ]
        for _ in range(2)
    )
    rows = under(
        *(
            {"fixed_kl": a, "free_kl": a, "gold_kl": b}
            for a, b in zip(free, gold, strict=True)
        )
    )
    sides = ({0: dict(enumerate(errors))} for errors in (free, gold))
    cut = ([*side[0].values()] for side in paired(*sides))  # type: ignore[arg-type]
    known = accumulated(*cut, [32])[32]
    assert known is not None
    assert value("r_free", rows) == pytest.approx(known.free)
    assert value("ex_acc_err_free", rows) == pytest.approx(known.excess)
    # Of a fixed length: where the reference is as long
    long = [(a, b) for a, b in zip(free, gold, strict=True) if len(b) >= 32]
    assert 2 < len(long) < 9
    known = accumulated(*map(list, zip(*long, strict=True)), [32])[32]
    assert known is not None
    assert value("r_fixed", rows) == pytest.approx(known.free)
    assert value("g_fixed", rows) == pytest.approx(known.gold)
    assert value("gap_fixed", rows) == pytest.approx(known.free - known.gold)
    assert value("acc_err_fixed", rows) == pytest.approx(known.acc)


def test_errors_that_are_equal_are_no_bias_however_early_answers_end() -> None:
    """On the easy half of 64 prompts the model ends at its tenth token. Its errors are the
    same on both contexts: R and G of other prompts differ by 9.9 nats."""
    rows = under(
        *(
            {"free_kl": [error] * n, "gold_kl": [error] * 32}
            for error, n in [(0.1, 10), (1.0, 32)] * 32
        )
    )
    for name in ("gap_free", "ex_acc_err_free"):
        assert value(name, rows) == pytest.approx(0), name
    assert value("acc_err_free", rows) == pytest.approx(32)
    assert value("g_free", rows) == pytest.approx(10 * 0.55 + 22 * 1.0)
    free, gold = (
        [point.value for point in curve(line, rows, 32, 0.95)]
        for line in PLACES["oracle"][2]
    )
    assert free == gold and len(free) == 32


def test_a_model_that_ends_earlier_is_held_against_another_at_the_same_steps() -> None:
    """Both are worse after their own tokens by half; one ends early on easy prompts."""
    rows, other = (
        under(
            *(
                {"free_kl": [1.5 * error] * n, "gold_kl": [error] * 32}
                for error, n in [(0.1, easy), (1.0, 32)] * 32
            )
        )
        for easy in (10, 32)
    )
    assert value("gap_free", rows) > value("gap_free", other) + 4
    for one, two in ((rows, other), (other, rows)):
        found = difference(BY_NAME["gap_free"], one, two, 0.95)
        assert found is not None and found.value == pytest.approx(0)


def lasting(stream: random.Random, reach: int, prompts: int = 64) -> Rows:
    """Errors of one distribution on both sides, where so many answers have 32 steps."""

    def errors(n: int) -> list[float]:
        return [stream.gammavariate(0.5, 1.0) for _ in range(n)]

    lengths = [32] * reach + [20] * (prompts - reach)
    return under(*({"free_kl": errors(n), "gold_kl": errors(n)} for n in lengths))


def test_steps_that_few_answers_have_are_not_summed() -> None:
    """A mean of one or two looks sure: without the rule, intervals with one such answer
    cover 0 in a quarter of the runs."""
    stream = random.Random(0)
    for reach in (1, 2, 3, 8, 15):
        assert interval(BY_NAME["gap_free"], lasting(stream, reach), 0.95) is None
    covered = 0
    for _ in range(RUNS):
        found = interval(BY_NAME["gap_free"], lasting(stream, 16), 0.95)
        assert found is not None
        covered += found.low <= 0 <= found.high
    assert covered >= 0.9 * RUNS


def test_steps_that_no_answer_reaches_have_no_accumulated_error() -> None:
    short = {"fixed_kl": [0.1] * 32, "free_kl": [0.1] * 20, "gold_kl": [0.2] * 20}
    assert accumulated([short["free_kl"]], [short["gold_kl"]], [32])[32] is None
    rows = under(short, short)
    for name in ("gap_free", "gap_fixed", "acc_err_free", "g_fixed", "r_fixed"):
        assert interval(BY_NAME[name], rows, 0.95) is None, name
    long = short | {"gold_kl": [0.2] * 32}
    assert value("r_fixed", under(long, long)) == pytest.approx(3.2)


def test_continuations_by_hand() -> None:
    rows = under(
        {
            "oracle_nll_own": 30.0,
            "oracle_nll_reference": 20.0,
            "chrf_own": 0.2,
            "chrf_reference": 0.3,
        },
        {
            "oracle_nll_own": 10.0,
            "oracle_nll_reference": 12.0,
            "chrf_own": 0.4,
            "chrf_reference": 0.6,
        },
    )
    assert value("oracle_nll", rows) == pytest.approx((10 - 2) / 2)
    assert value("eb_m", rows) == pytest.approx(0.9 / 0.6)


def test_calibration_by_hand() -> None:
    # Two bins: sure of .9 and right in half of them, sure of .45 and always right.
    row = {
        "confidence": [0.95, 0.95, 0.45, 0.45],
        "forced_wrong": [False, True, False, False],
    }
    rows = under(row, row)
    assert value("ece_reference", rows) == pytest.approx(
        (2 * abs(0.95 - 0.5) + 2 * abs(0.45 - 1)) / 4
    )


def test_degeneration_by_hand() -> None:
    one, other = [1, 2, 1, 2, 1, 2], [5, 6, 7, 8, 9]
    rows = under(
        {"answer_ids": one, "reference_ids": other, "answer_ended": True},
        {"answer_ids": other, "reference_ids": other, "answer_ended": False},
    )
    # 1212 2121 1212, and two others of which none repeats.
    assert value("repetition_answer", rows) == pytest.approx(1 / 5)
    assert value("ended_answer", rows) == pytest.approx(1 / 2)
    assert value("length_answer", rows) == pytest.approx(11 / 10)


def counted(*answers: list[int], references: int) -> Rows:
    """Rows whose references have so many tokens each, all of them one."""
    rows = [
        {"id": f"{n}", "reference_ids": [9] * references}
        | {f"{side}_ids": ids for side in ("answer", "sample")}
        for n, ids in enumerate(answers)
    ]
    found = degeneration.distinct(rows)
    return under(*(row | found[row["id"]] for row in rows))


def test_distinct_n_counts_over_all_answers() -> None:
    """As Li et al. 2016: 10 tokens are half of what the references have."""
    rows = counted([1, 2, 3, 4, 5], [1, 2, 1, 2, 6], references=10)
    assert value("distinct_1_answer", rows) == pytest.approx(6 / 10)
    # 12 23 34 45, and 21 26 besides.
    assert value("distinct_2_answer", rows) == pytest.approx(6 / 10)
    assert value("distinct_1_reference", rows) == pytest.approx(1 / 10)


def test_distinct_n_of_a_model_that_writes_more_is_of_as_many_tokens() -> None:
    ids = list(range(40))
    rows = counted(ids, ids, references=10)
    assert value("distinct_1_answer", rows) == 1
    assert (
        interval(BY_NAME["distinct_1_answer"], counted([1], [2], references=10), 0.95)
        is None
    )


def test_the_interval_of_distinct_n_holds_its_mean() -> None:
    """Of answers about something, whose words come again; a jackknife's is no narrower than
    it says, and wider where most words were seen."""
    stream, prompts, runs = np.random.default_rng(0), 64, 100
    shares = 1 / np.arange(1, 401)
    found = []
    for _ in range(runs):
        answers = []
        for _ in range(prompts):
            ids = stream.choice(400, stream.integers(10, 50), p=shares / shares.sum())
            ids[stream.random(len(ids)) < 0.2] = stream.integers(400)
            answers.append(ids.tolist())
        rows = counted(*answers, references=30)
        found.append(interval(BY_NAME["distinct_2_answer"], rows, 0.95))
    mean = np.mean([one.value for one in found if one])
    covered = [one.low <= mean <= one.high for one in found if one]
    assert len(covered) == runs and np.mean(covered) >= 0.9
    spread = np.std([one.value for one in found if one])
    widths = [(one.high - one.low) / 2 / 1.96 for one in found if one]
    assert np.mean(widths) < 1.3 * spread


def test_self_bleu_knows_equal_answers_and_others() -> None:
    words = [f"word{n}" for n in range(10)]
    texts = [" ".join(words[n : n + 5]) for n in (0, 5)]
    rows = [
        {
            "id": f"{n}",
            "answer": texts[0],
            "sample": texts[n % 2],
            "reference_text": text,
        }
        for n, text in enumerate([texts[0], texts[1]])
    ]
    found = degeneration.self_bleu(rows)
    for row in found.values():
        assert row["self_bleu_answer"] == pytest.approx(1)
        assert row["self_bleu_reference"] < 0.2


def test_a_chain_with_a_known_bias_gives_it_back_as_often_as_its_interval_says() -> (
    None
):
    """Wrong after a right step with .1, after a wrong one with .4; forced ones with .1."""
    a, b, length, prompts, runs = 0.1, 0.4, 12, 40, 200
    wrong, known = 0.0, 0.0
    for _ in range(length):
        wrong = a * (1 - wrong) + b * wrong
        known += wrong / length
    stream = np.random.default_rng(5)
    covered = 0
    for _ in range(runs):
        rows = []
        for _ in range(prompts):
            free, last = [], False
            for u in stream.random(length):
                last = bool(u < (b if last else a))
                free.append("wrong" if last else "")
            forced = ["wrong" if u < a else "" for u in stream.random(length)]
            rows.append(
                {"steps_due": length, "steps_free": free, "steps_forced": forced}
            )
        found = interval(BY_NAME["steps_excess"], under(*rows), 0.95)
        assert found is not None
        covered += found.low <= known - a <= found.high
    # Four standard errors of a share of 200.
    assert covered / runs == pytest.approx(0.95, abs=4 * math.sqrt(0.05 * 0.95 / runs))


@pytest.mark.parametrize("measure", MEASURES, ids=lambda m: m.name)
def test_a_model_differs_from_itself_by_nothing(measure: Measure) -> None:
    rows = under(*(whole(random.Random(n)) for n in range(6)))
    other = under(*(whole(random.Random(n + 50)) for n in range(6)))
    same = difference(measure, rows, rows, 0.95)
    assert same is not None and same.value == 0 and same.low == same.high == 0
    one, back = (
        difference(measure, *pair, 0.95) for pair in ((rows, other), (other, rows))
    )
    assert one is not None and back is not None
    assert one.value == pytest.approx(-back.value)
    assert (one.low, one.high) == pytest.approx((-back.high, -back.low))
    alone, others = (interval(measure, side, 0.95) for side in (rows, other))
    assert alone is not None and others is not None
    assert one.value == pytest.approx(alone.value - others.value)


def test_the_mean_at_each_place_is_over_the_prompts_that_have_it() -> None:
    (line, _) = PLACES["agreement"][2]
    rows = under(
        {"free_wrong": [True, False, True]},
        {"free_wrong": [True, True]},
        {"free_wrong": [False, True, True, True]},
    )
    found = [point.value for point in curve(line, rows, 10, 0.95)]
    # Fewer than two prompts have the fourth place.
    assert found == pytest.approx([2 / 3, 2 / 3, 1])

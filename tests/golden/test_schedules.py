"""Mixing rates: the formulas of Bengio et al. 2015 by hand, and how they reach the rows."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfgen.core.errors import UserError
from selfgen.core.spec import Device, Sampling, Steps
from selfgen.data.examples import Example
from selfgen.data.prompts import PromptSpec
from selfgen.generation.forced import Reference, mixing_mask
from selfgen.generation.passes import rates
from selfgen.generation.spec import PassSpec
from selfgen.mixing.order import is_plain, part_of, plan_steps
from selfgen.mixing.schedules import KINDS, Schedule, rate, rate_at

PROMPT = PromptSpec("{prompt}", "Again.", 100, 100)


def moving(kind: str, k: float, c: float = 0.0) -> Schedule:
    return Schedule(kind=kind, k=k, c=c)


@pytest.mark.parametrize(
    ("schedule", "beta", "i", "expected"),
    [
        # linear: eps = max(1 - beta, k - c i)
        (moving("linear", 1.0, 0.01), 1.0, 0, 0.0),
        (moving("linear", 1.0, 0.01), 1.0, 25, 0.25),
        (moving("linear", 1.0, 0.01), 1.0, 100, 1.0),
        (moving("linear", 1.0, 0.01), 0.5, 80, 0.5),
        (moving("linear", 0.9, 0.005), 0.25, 10, 0.15),
        # and with a negative slope from 0.5 to 0 at 70 per cent
        (moving("linear", 0.5, -0.5 / 70), 0.5, 0, 0.5),
        (moving("linear", 0.5, -0.5 / 70), 0.5, 35, 0.25),
        (moving("linear", 0.5, -0.5 / 70), 0.5, 90, 0.0),
        # exponential: eps = k^i
        (moving("exponential", 0.99), 1.0, 0, 0.0),
        (moving("exponential", 0.99), 1.0, 2, 1 - 0.9801),
        (moving("exponential", 0.5), 0.25, 3, 0.25),
        # inverse sigmoid: eps = k / (k + exp(i / k))
        (moving("inverse-sigmoid", 1.0), 1.0, 0, 0.5),
        (moving("inverse-sigmoid", 4.0), 1.0, 0, 0.2),
        (moving("inverse-sigmoid", 4.0), 1.0, 8, math.e**2 / (4 + math.e**2)),
        (moving("inverse-sigmoid", 4.0), 0.1, 8, 0.1),
        (moving("inverse-sigmoid", 1.0), 1.0, 5000, 1.0),
        (None, 0.3, 77, 0.3),
    ],
)
def test_formulas(
    schedule: Schedule | None, beta: float, i: float, expected: float
) -> None:
    assert rate(schedule, beta, i) == pytest.approx(expected, abs=1e-12)


@given(
    st.sampled_from(KINDS),
    st.floats(1.0, 50.0),
    st.floats(0.0, 0.2),
    st.floats(0.0, 1.0),
    st.lists(st.floats(0, 100), min_size=2, max_size=2),
)
def test_a_rate_lies_between_0_and_beta_and_rises(
    kind: str, k: float, c: float, beta: float, places: list[float]
) -> None:
    k = 1 / k if kind == "exponential" else k
    c = c if kind == "linear" else 0.0
    low, high = (rate(moving(kind, k, c), beta, i) for i in sorted(places))
    assert 0 <= low <= high <= beta + 1e-12


def test_steps_count_in_per_cent_of_the_stage() -> None:
    schedule = moving("linear", 1.0, 0.01)
    assert [rate_at(schedule, 1.0, n, 40) for n in (0, 10, 20)] == [0.0, 0.25, 0.5]
    assert rate_at(schedule, 1.0, 100, 400) == 0.25


def test_an_unknown_schedule() -> None:
    with pytest.raises(
        UserError, match=r"Schedule.kind: found 'cosine', input should be"
    ):
        rate(moving("cosine", 1.0), 1.0, 0)


def examples(n: int = 40) -> list[Example]:
    return [
        Example(f"e{i:02d}", "?", [5] * (2 + i % 3), [7] * (3 + i % 5))
        for i in range(n)
    ]


def pass_of(**changes: object) -> PassSpec:
    fields = {"epochs": 2, "beta": 0.5} | changes
    return PassSpec(
        kind="forced",
        seed=3,
        rows=(0, 40),
        prompt=PROMPT,
        sampling=Sampling(1.0),
        device=Device("cpu", "fp32"),
        **fields,
    )


def planned(**part: object) -> list[tuple[int, list[tuple[int, int]]]]:
    found = examples()
    steps = plan_steps(
        [e.id for e in found], [len(e) for e in found], epochs=2, batch_size=4, seed=3
    )
    return list(part_of(steps, part.get("steps")))


def test_a_row_has_the_rate_of_the_step_that_it_will_stand_in() -> None:
    schedule = moving("linear", 1.0, 0.01)
    found = rates(examples(), pass_of(schedule=schedule, step_rows=4))
    assert len(found) == 80
    for number, step in planned():
        for address in step:
            # 20 steps: 5 per cent each.
            assert found[address] == pytest.approx(min(0.5, 0.05 * number))


def test_rounds_share_the_steps_of_the_stage() -> None:
    parts = [Steps(0, 6, 20), Steps(6, 13, 20), Steps(13, 20, 20)]
    made = [rates(examples(), pass_of(steps=part, step_rows=4)) for part in parts]
    assert sum(map(len, made)) == 80
    assert set().union(*made) == set(rates(examples(), pass_of()))
    assert set(made[1]) == {a for _, step in planned(steps=parts[1]) for a in step}
    assert {rate for part in made for rate in part.values()} == {None}


def test_a_part_of_another_stage_is_refused() -> None:
    with pytest.raises(UserError, match="found 20 of the stage, not 30"):
        rates(examples(), pass_of(steps=Steps(0, 6, 30), step_rows=4))


def test_plain_rows_are_not_mixed() -> None:
    found = rates(examples(), pass_of(plain_share=0.5))
    chosen = {
        (i, epoch) for i, epoch in found if is_plain(3, examples()[i].id, epoch, 0.5)
    }
    assert 20 < len(chosen) < 60
    assert {a for a, rate in found.items() if rate == 0.0} == chosen
    assert {rate for a, rate in found.items() if a not in chosen} == {None}


def masks(n: int, beta: float, span: int, length: int = 24) -> list[list[bool]]:
    return [
        mixing_mask(0, Reference(f"r{i}", 0, [1], [2] * length), beta, span)
        for i in range(n)
    ]


@pytest.mark.parametrize(("beta", "span"), [(0.25, 4), (0.5, 3), (0.1, 6), (0.25, 1)])
def test_every_position_is_drawn_with_probability_beta(beta: float, span: int) -> None:
    rows = masks(4000, beta, span)
    for t in range(23):
        share = sum(row[t] for row in rows) / len(rows)
        assert abs(share - beta) < 4.5 * math.sqrt(beta * (1 - beta) / len(rows)), t
    assert not any(row[23] for row in rows)


def test_marks_come_in_runs_of_the_span() -> None:
    """Every run that neither begins nor ends with the answer is a multiple of 4 long."""
    for row in masks(500, 0.3, 4):
        text = "".join("x" if mark else "." for mark in row[:-1])
        inner = text.strip("x").split(".")
        assert all(len(run) % 4 == 0 for run in inner), text
    runs = [
        len(run)
        for row in masks(500, 0.3, 4)
        for run in "".join("x" if m else "." for m in row[:-1]).strip("x").split(".")
        if run
    ]
    assert runs.count(4) > runs.count(8) > 0


@pytest.mark.parametrize("beta", [0.0, 1.0])
@pytest.mark.parametrize("span", [1, 5])
def test_nothing_and_everything(beta: float, span: int) -> None:
    for row in masks(20, beta, span):
        assert row == [bool(beta)] * 23 + [False]

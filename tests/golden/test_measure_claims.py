"""What two seeds, prompts that are all alike, and too few answers do not show: by one rule in
sentences, on the page and in the table of a run."""

from __future__ import annotations

import random
from typing import Any

import pytest

from selfgen.measures.base import Rows
from selfgen.measures.spec import LENGTHS
from selfgen.report.measured import tables
from selfgen.report.measured import words as said
from selfgen.report.measured.found import Found
from selfgen.report.spec import Cell, TableSpec
from selfgen.report.tables import measures
from tests.golden.test_measure_faults import bare
from tests.measured_rows import whole

PROMPTS = 40


def worse(seeds: int, by: float) -> Rows:
    """Answers with 2 of 20 steps wrong after the reference's, and so many more after own
    ones and after a planted one; under each of some seeds."""
    stream = random.Random(f"{seeds} {by}")

    def wrong(number: float) -> list[str]:
        number = int(number + stream.choice((-1, 0, 1)))
        return ["order"] * number + [""] * (20 - number)

    def row() -> dict[str, Any]:
        planted = [stream.gauss(by, 1) for _ in range(32)]
        steps = {"steps_free": wrong(2 + by), "steps_forced": wrong(2)}
        return whole(stream) | steps | {"steps_due": 20, "planted_own": planted}

    return {seed: {f"p{n}": row() for n in range(PROMPTS)} for seed in range(seeds)}


def of_run(found: dict[str, Rows]) -> str:
    """The table of a run whose baseline is the last of these."""
    labels = {name: name.upper() for name in found}
    cells = tuple(
        Cell("words", "m", name, "direct", seed)
        for name, by_seed in found.items()
        for seed in by_seed
    )
    how = ("measures", "measures", "tiny", (), labels, list(found)[-1], (), 0.95)
    parts = [
        [{"id": i, **row} for i, row in rows.items()]
        for by_seed in found.values()
        for rows in by_seed.values()
    ]
    drawn = measures.draw(parts, TableSpec(*how, cells, LENGTHS))
    (steps,) = (
        n for n, x in enumerate(drawn.grids[0].header) if "excess: after its own m" in x
    )
    return str(drawn.grids[0].rows[0][steps])


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_of_two_seeds_nothing_is_claimed(seeds: int) -> None:
    """Of answers that are surely worse under each, than after the reference's steps and than
    another model's."""
    rows = {"a": worse(seeds, 8), "b": worse(seeds, 2)}
    found = Found(rows, {})
    number = found.number("steps_excess", "b")
    assert number is not None and number.difference is not None
    claimed = seeds != 2
    assert number.value.sign == number.difference.sign == claimed
    bias, *more = said.answers(found)
    (between,) = (line for line in more if " than b" in line)
    (planted,) = (line for line in more if "tokens in the place" in line)
    if claimed:
        assert bias.startswith("a has exposure bias (")
        assert more[0].startswith("It begins at step ")
        assert between.startswith("a has more exposure bias than b (")
        assert "nats more each" in planted
    else:
        assert bias.startswith("a is not shown to have exposure bias (")
        assert between.startswith(
            "a is not shown to have more or less exposure bias than b"
        )
        assert "are not shown to cost it more" in planted
        for line in (bias, between, planted):
            assert line.endswith("; two seeds are too few for a claim)")
        assert not any("begins" in line for line in more)
    text = tables.markdown(found, tables.grid(found))
    below = text.count("▼")
    assert (below > 1) == claimed  # one is of the note
    assert ("Two seeds are too few" in text) == (not claimed)
    assert ("▼" in of_run(rows)) == claimed


def test_of_prompts_that_are_alike_nothing_is_tested() -> None:
    rows = {0: {f"p{n}": whole(random.Random(0)) for n in range(9)}}
    steps = {"steps_due": 4, "steps_free": ["order"] * 4, "steps_forced": [""] * 4}
    found = Found({"a": {0: {i: row | steps for i, row in rows[0].items()}}}, {})
    (line, *_) = said.answers(found)
    assert line.startswith("a is not shown to have exposure bias (")
    assert line.endswith("; all prompts have one value, so nothing is tested)")


def test_an_oracle_whose_sums_no_answers_are_long_enough_for_is_not_asked_for() -> None:
    stream = random.Random(0)

    def short(lengths: list[int]) -> str:
        rows = []
        for n in lengths:
            errors = {
                "free_kl": [0.2] * 40,
                "gold_kl": [0.1] * n,
                "fixed_kl": [0.2] * 32,
            }
            wrong = [stream.random() < 0.5 for _ in range(20)]
            rows.append(errors | {"free_wrong": [True] * 20, "forced_wrong": wrong})
        (line, *_) = said.answers(Found({"a": bare(rows)}, {}, lengths=lengths_asked))
        return line

    lengths_asked = (32,)
    line = short([12] * 15 + [40])
    assert (
        line.startswith("a's answers leave the reference (") and "--oracle" not in line
    )
    assert (
        "the oracle cannot tell them apart" in line and "R and G sum 32 steps" in line
    )
    assert "exposure bias (R - G" in short([12] * 6 + [40] * 10)
    # Where none was asked for, R and G sum as many steps as answers reach.
    lengths_asked = LENGTHS
    assert "exposure bias (R - G" in short([12] * 15 + [40])

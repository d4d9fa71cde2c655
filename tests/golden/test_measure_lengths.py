"""Up to which step errors against an oracle are summed."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

import selfgen
from selfgen.core.errors import UserError
from selfgen.measures.base import Rows
from selfgen.measures.lengths import reached
from selfgen.report.measured import figures
from selfgen.report.measured.found import Found
from tests.measured_rows import whole
from tests.tiny import tiny

ASKED = [{"prompt": f"Number {n}?", "reference": "It is so."} for n in range(8)]
GIVEN: dict[str, Any] = {"max_answer_tokens": 24, "device": "cpu"}


def errors(*lengths: tuple[int, int]) -> Rows:
    """Rows whose answer and reference have so many tokens, with whatever errors."""
    stream = random.Random(0)
    return {
        0: {
            f"p{n}": whole(stream)
            | {"free_kl": [stream.random() for _ in range(free)]}
            | {"gold_kl": [stream.random() for _ in range(gold)]}
            for n, (free, gold) in enumerate(lengths)
        }
    }


def test_the_largest_that_a_quarter_of_answers_and_references_reach() -> None:
    rows = errors((12, 12), (11, 12), (5, 40), (40, 5), (5, 5), (5, 5), (5, 5), (5, 5))
    assert reached([rows], range(1, 33)) == 11
    assert reached([rows], [8, 16, 32]) == 8
    # Nobody has as many: these measures are left out.
    assert reached([rows], [16, 32]) == 16
    # One of the two is none.
    assert reached([errors((9, 9), (4, 4))], range(1, 33)) == 4


def test_models_that_stand_beside_each_other_are_summed_alike() -> None:
    short, long = errors(*[(7, 20)] * 8), errors(*[(20, 20)] * 8)
    for pair in ((short, long), (long, short)):
        assert reached(pair, range(1, 33)) == 7
    nothing: Rows = {0: {"p0": {"free_kl": None, "gold_kl": None}}}
    assert reached([long, nothing], range(1, 33)) == 20


def test_short_answers_have_accumulated_errors() -> None:
    found = Found({"m": errors(*[(12, 12)] * 8)}, {})
    number = found.number("acc_err_free")
    assert number is not None and number.measure.title.startswith("AccErr(12)")
    (rows,) = found.rows["m"].values()
    means = [
        [sum(row[side][t] for row in rows.values()) / 8 for t in range(12)]
        for side in ("free_kl", "gold_kl")
    ]
    assert number.value.value == pytest.approx(12 * sum(means[0]) / sum(means[1]))
    named = Found({"m": errors(*[(12, 12)] * 8)}, {}, lengths=(16,))
    assert named.number("acc_err_free") is None


def test_the_curve_of_summed_errors_ends_in_the_numbers() -> None:
    found = Found({"m": errors(*[(12, 14)] * 8)}, {})
    drawn = figures.draw(found, "accumulated")
    assert drawn is not None
    lines = {line.get_label(): line.get_ydata() for line in drawn.axes[0].get_lines()}
    for name, label in figures.SUMMED.items():
        number = found.number(name)
        assert number is not None and len(lines[label]) == 12
        assert lines[label][-1] == pytest.approx(number.value.value)
    rows = {i: {**row, "free_kl": None} for i, row in found.rows["m"][0].items()}
    assert figures.draw(Found({"m": {0: rows}}, {}), "accumulated") is None


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    out = tmp_path_factory.mktemp("models")
    return [tiny(out / "model"), tiny(out / "oracle", num_hidden_layers=1)]


def test_of_short_references_a_measurement_has_them(folders: list[Path]) -> None:
    model, oracle = folders
    found = selfgen.measure(model, None, ASKED, oracle=oracle, **GIVEN)
    (rows,) = found.rows[found.first].values()
    longest = max(len(row["reference_ids"]) for row in rows.values())
    assert found.length == longest < 32
    for name in ("acc_err_free", "acc_err_fixed"):
        number = found.number(name)
        assert number is not None and f"({longest})" in number.measure.title
    shorter = selfgen.measure(model, None, ASKED, oracle=oracle, length=5, **GIVEN)
    (rows,) = shorter.rows[found.first].values()
    assert {len(row["fixed_kl"]) for row in rows.values()} == {5}
    assert shorter.length == 5 and shorter.about["length"] == "5 steps"
    with pytest.raises(UserError, match="against: found length '5 steps'"):
        found.against(shorter)


@pytest.mark.parametrize("length", [0, 25])
def test_a_length_that_is_none(folders: list[Path], length: int) -> None:
    with pytest.raises(UserError, match=f"length: found {length}, allowed: 1 to 24"):
        selfgen.measure(folders[0], None, ASKED, length=length, **GIVEN)

"""The figures of a measurement, read from what is drawn."""

from __future__ import annotations

import random
from typing import Any

import pytest

from selfgen.measures.registry import MEASURES, PLACES
from selfgen.report import style
from selfgen.report.measured import figures, page
from selfgen.report.measured.found import Found
from tests.measured_rows import whole


def rows(first: int, **more: Any) -> dict[int, dict[str, dict[str, Any]]]:
    made = [whole(random.Random(first + n)) | more for n in range(8)]
    return {0: {f"p{n}": row for n, row in enumerate(made)}}


@pytest.fixture(scope="module")
def found() -> Found:
    return Found({"one": rows(0), "other": rows(50)}, {})


@pytest.mark.parametrize("name", figures.TITLES)
def test_every_figure_is_drawn_and_said(found: Found, name: str) -> None:
    drawn = figures.draw(found, name)
    assert drawn is not None and style.render(drawn, "svg")
    assert page.ABOUT[name].endswith(".")


def test_the_page_has_all_of_them() -> None:
    assert [*page.ABOUT] == [*figures.TITLES]
    assert {*PLACES, "differences"} <= {*figures.TITLES}


def test_what_was_not_read_has_no_figure() -> None:
    nothing = ("gold_kl", "free_kl", "fixed_kl", "planted_kl_own")
    alone = Found({"one": rows(0, **dict.fromkeys(nothing))}, {})
    for name in ("oracle", "differences"):
        assert figures.draw(alone, name) is None


def test_planted_errors_by_lag_are_those_against_the_oracle(found: Found) -> None:
    drawn = figures.draw(found, "planted-oracle")
    assert drawn is not None
    lines = {line.get_label(): line for line in drawn.axes[0].get_lines()}
    own = lines["its own likeliest other tokens"].get_ydata()
    values = [row["planted_kl_own"] for row in found.rows["one"][0].values()]
    means = [sum(at) / len(values) for at in zip(*values, strict=True)]
    assert list(own) == pytest.approx(means)


def test_what_the_first_lag_costs_does_not_hide_the_rest() -> None:
    large = [9.0] + [0.3] * 31
    for rows_of, scale in ((rows(0, planted_own=large), "symlog"), (rows(0), "linear")):
        drawn = figures.draw(Found({"one": rows_of}, {}), "planted")
        assert drawn is not None and drawn.axes[0].get_yscale() == scale
        assert ("logarithmic" in drawn.axes[0].get_ylabel()) == (scale == "symlog")


def test_who_is_better_stands_to_the_right() -> None:
    """In a measure of which less is good, and in one of which more is."""
    good = {"steps_free": [""] * 8, "answer_ended": True}
    bad = {"steps_free": ["order"] * 7 + [""], "answer_ended": False}
    mixed = rows(50, **bad)
    next(iter(mixed[0].values())).update(good)
    drawn = figures.draw(Found({"a": rows(0, **good), "b": mixed}, {}), "differences")
    assert drawn is not None
    (ax,) = drawn.axes
    titles = [label.get_text().replace("\n", " ") for label in ax.get_yticklabels()]
    dots = {
        titles[round(line.get_ydata()[0])]: line
        for line in ax.get_lines()
        if len(line.get_xdata()) == 1
    }
    for name in ("steps_free", "ended_answer"):
        (measure,) = [m for m in MEASURES if m.name == name]
        assert dots[measure.title].get_xdata()[0] > 1, name
    assert "better" in drawn.get_supxlabel()

"""Declared comparisons: one family over scores and excess errors, and verdicts by rule."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from tests.judged import NONE, SAME, STEPS, made

from selfgen.evaluation.statistics import holm
from selfgen.report import figures, style
from selfgen.report.tables import claims, steps


def lines(*args: Any) -> dict[tuple[str, str], dict[str, str]]:
    text = claims.draw(*args).texts()["csv"]
    return {(x["method"], x["measure"]): x for x in csv.DictReader(io.StringIO(text))}


def test_what_is_declared_and_nothing_else_is_one_family() -> None:
    found = lines(*made(SAME | {"bash": 0.9, "rac": 0.1}, NONE | {"bash": 0.4}))
    assert set(found) == {(m, x) for m in ("bash", "rac") for x in ("whole", "excess")}
    assert {line["reference"] for line in found.values()} == {"sft"}
    corrected = holm([float(line["p"]) for line in found.values()])
    assert [float(x["holm"]) for x in found.values()] == pytest.approx(
        corrected, abs=1e-5
    )
    verdicts = {key: line["verdict"] for key, line in found.items()}
    assert verdicts == {
        ("bash", "whole"): "better",
        ("bash", "excess"): "worse",
        ("rac", "whole"): "worse",
        ("rac", "excess"): "no difference shown",
    }
    assert all(float(line["detectable"]) > 0 for line in found.values())


def test_seeds_needed_are_those_that_find_the_aim() -> None:
    """Not with one seed, which says nothing of others; with three, a number that agrees with
    what these find."""
    scores = SAME | {"bash": 0.9, "rac": 0.1}
    for line in lines(*made(scores, NONE)).values():
        needed, found = line["seeds_needed"], float(line["detectable"])
        assert (needed == "3") == (found <= claims.AIM)
        assert needed == f"over {claims.MOST_SEEDS}" or int(needed) >= 3
    assert {
        x["seeds_needed"] for x in lines(*made(scores, NONE, seeds=1)).values()
    } == {""}


def test_the_excess_is_that_of_the_table_of_steps() -> None:
    scores, runs, errors, spec = made(SAME, NONE | {"bash": 0.3})
    text = steps.draw(errors, spec).texts()["csv"]
    table = {line["method"]: line for line in csv.DictReader(io.StringIO(text))}
    own = lines(scores, runs, errors, spec)["bash", "excess"]
    assert own["mean"] == table["bash"]["excess"]
    assert own["difference"] == table["bash"]["excess_difference"]


@pytest.mark.parametrize(
    ("change", "method", "verdict"),
    [
        ({"seeds": 2, "score": SAME | {"bash": 1.0}}, "bash", "no difference shown"),
        ({"seeds": 1, "score": SAME | {"bash": 1.0}}, "bash", "better, items only"),
        ({"changed": 0.04, "score": SAME | {"bash": 1.0}}, "bash", "no dose"),
        ({"changed": 0.04, "score": SAME | {"rac": 1.0}}, "rac", "better"),
        ({"score": dict.fromkeys(SAME, 0.02)}, "rac", "floor"),
        ({"score": dict.fromkeys(SAME, 0.99)}, "rac", "ceiling"),
    ],
)
def test_a_verdict_by_its_rule(
    change: dict[str, Any], method: str, verdict: str
) -> None:
    given = {"score": SAME, "excess": NONE} | change
    assert lines(*made(**given))[method, "whole"]["verdict"] == verdict


def test_what_was_not_run_is_said() -> None:
    scores, runs, errors, spec = made(SAME, NONE)
    scores = scores[scores["method"] != "sft"]
    assert lines(scores, runs, errors, spec)["bash", "whole"]["verdict"] == "not run"


def test_the_figure_of_steps_shows_what_is_declared() -> None:
    """By place, and by the number of steps where that differs; each line's points are shares
    of the answers that have such a step."""
    _, _, errors, spec = made(SAME, NONE | {"bash": 0.3})
    figure = figures.steps_figure(errors, spec)
    (ax,) = figure.axes
    drawn = {line.get_label(): line for line in ax.lines if line.get_linestyle() == "-"}
    assert set(drawn) == {"SFT", "BASH", "RAC"}
    own = [
        row
        for cell, part in zip(spec.cells, errors, strict=True)
        for row in part
        if cell.method == "bash"
    ]
    third = 100 * sum(bool(row["free"][2]) for row in own) / len(own)
    assert drawn["BASH"].get_ydata()[2] == pytest.approx(third)
    for part in errors:
        for row in part[::2]:
            row |= {"due": 5, "free": row["free"][:4], "forced": row["forced"][:5]}
    figure = figures.steps_figure(errors, spec)
    places, sizes = figure.axes
    assert len(places.lines[0].get_xdata()) == STEPS
    assert places.get_title() != sizes.get_title()
    # Side by side: no two points of a length stand at one place, and none at another length.
    at = [x for line in sizes.lines for x in line.get_xdata()]
    assert len({*at}) == len(at) == 6
    assert sorted(round(x) for x in at) == [5] * 3 + [STEPS] * 3
    (legend,) = figure.legends
    assert {text.get_text() for text in legend.get_texts()} == {"SFT", "BASH", "RAC"}
    assert "Dashed: after the reference's" in legend.get_title().get_text()
    for kind in style.KINDS:
        assert len(style.render(figure, kind)) > 5_000

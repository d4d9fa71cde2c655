"""The samples of a report: whose answer was best, and better or worse than the baseline."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from tests import browser

from selfgen.report.html.page import Page
from selfgen.report.html.samples import Sample, Texts, of_task
from selfgen.report.spec import Cell, Column, TableSpec

LABELS = {"base": "Base", "sft": "SFT", "bash": "BASH", "rac": "RAC"}
COLUMN = Column("group", "test", "whole", "group")
SPEC = TableSpec("main", "main", "x", (COLUMN,), LABELS, "sft", (), 0.95, (), None)


def sample(scores: dict[str, float], wrong: tuple[str, ...] = ("", "order")) -> Sample:
    """Of one record; ``wrong``: what is wrong with the steps of direct answers."""
    names = {name: tuple(name.split("/")) for name in scores}
    record = {"id": "a", "split": "test", "prompt": "Sort.", "reference": "cat, dog"}
    texts, lines = [], []
    for name, (method, decoding) in names.items():
        rows = {"a": {"text": "dog, cat", "ended": True}}
        errors = {"a": wrong} if decoding == "direct" else {}
        texts.append(Texts(Cell("group", "m", method, decoding, 0), rows, errors))
        cell = {"task": "group", "split": "test", "model": "m", "method": method}
        cell |= {"decoding": decoding, "seed": 0, "id": "a", "whole": scores[name]}
        lines.append(cell)
    (found,) = of_task(COLUMN, [record], texts, pd.DataFrame(lines), SPEC, ",")
    return found


def test_of_answers_that_are_all_wrong_none_is_best() -> None:
    found = sample({"base/direct": 0, "sft/direct": 0, "bash/direct": 0})
    assert [answer.score for answer in found.answers] == [0, 0, 0]
    assert found.standings == []
    assert sample({"base/direct": 1, "sft/direct": 1}).standings == []


def test_best_is_above_another_and_below_none() -> None:
    found = sample(
        {"base/direct": 0, "sft/direct": 1, "bash/direct": 0, "rac/direct": 1}
    )
    assert found.standings == ["worse Base", "best SFT", "worse BASH", "best RAC"]


def test_better_and_worse_than_the_direct_answer_of_the_baseline() -> None:
    scores = {"sft/direct": 0.5, "sft/corrected": 0.2, "bash/direct": 0.6}
    assert sample(scores).standings == [
        *("worse SFT, corrected once", "best BASH", "better BASH")
    ]
    assert sample({"bash/direct": 1, "rac/direct": 0}).standings == ["best BASH"]


CHOOSE = """
const standing = document.getElementById("standing");
said.found = [...standing.options].map(one => {
  standing.value = one.value;
  standing.onchange();
  const shown = [...document.querySelectorAll(".sample")].map(s => !s.hidden);
  return [one.parentElement.label || "", one.text, shown];
});
said.lines = ["ins", "del"].map(name => document.querySelector(name))
  .map(one => getComputedStyle(one).textDecorationLine);
"""


@pytest.mark.needs("chromium")
def test_samples_are_chosen_by_who_was_better(tmp_path: Path) -> None:
    all_wrong = sample({"sft/direct": 0, "bash/direct": 0})
    better = sample({"sft/direct": 0, "bash/direct": 1})
    worse = sample({"sft/direct": 1, "bash/direct": 0})
    tables = {"main": "| Method | group |\n| :-- | --: |\n| SFT | 0.5 |\n"}
    shown = {"group": [all_wrong, better, worse]}
    page = tmp_path / "page.html"
    page.write_text(Page("x", "Better?", [], tables, {}, shown, []).html(), "utf-8")
    said = browser.look(page, min(browser.WIDTHS), CHOOSE, tmp_path)
    assert said["problems"] == [] and said["wide"] <= 0
    assert said["found"] == [
        ["", "any", [True, True, True]],
        ["Best", "SFT", [False, False, True]],
        ["Best", "BASH", [False, True, False]],
        ["Better than the baseline", "BASH", [False, True, False]],
        ["Worse than the baseline", "BASH", [False, False, True]],
    ]
    assert said["lines"] == ["underline", "line-through"]


def test_what_is_wrong_with_a_step_is_read_without_a_mouse() -> None:
    """A corrected answer has its changes instead: its steps are not judged."""
    direct, corrected = sample({"rac/direct": 0, "rac/corrected": 0}).answers
    assert direct.text == "dog, <mark>cat</mark> <small>(order)</small>"
    assert corrected.change == "dog, cat" and "<mark>" not in corrected.text

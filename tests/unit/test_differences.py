"""Texts side by side, by hand."""

from __future__ import annotations

import re
from pathlib import Path

from selfgen.report.html import differences
from selfgen.report.html.page import table
from selfgen.report.html.words import findings


def test_what_a_reference_does_not_have() -> None:
    marked = differences.against("The sum is 6 <b>.", "The sum is 5.")
    assert marked == "The sum is <ins>6 &lt;b&gt;</ins>."
    assert differences.against("same", "same") == "same"
    assert differences.against("", "same") == ""


def test_how_a_draft_became_a_text() -> None:
    assert differences.changed("It is 6.", "It is 5!") == (
        "It is <del>6.</del><ins>5!</ins>"
    )
    assert differences.changed("a b", "a") == "a<del> b</del>"


def test_the_first_wrong_step() -> None:
    steps = ["cat,", "bread,", "<dog>"]
    assert differences.stepped(steps, ["", "kind", "kind"]) == (
        "cat, <mark>bread,</mark> <small>(kind)</small> &lt;dog&gt;"
    )
    assert differences.stepped(steps, ["", "", ""]) == "cat, bread, &lt;dog&gt;"


def test_numbers_are_sorted_without_their_intervals() -> None:
    html = table(
        "| a | b |\n| :-- | --: |\n| x | **26.7** ▲<br>[23.7, 29.9] |\n| y | −1.5 |\n"
    )
    assert 'data-order="26.7"><strong>26.7</strong> ▲<br>' in html
    assert 'data-order="-1.5">−1.5<' in html
    assert html.count("<table") == 1 and '<div class="wide">' in html


def test_the_column_of_the_method_stays_in_sight_beside_the_first() -> None:
    html = table(
        "| Task | Method | n |\n| :-- | :-- | --: |\n\n"
        "| Task | Model | Method | Measure |\n| :-- | :-- | :-- | :-- |\n\n"
        "| Group | Measure |\n| :-- | --: |\n\n| Method | Task |\n| :-- | :-- |\n"
    )
    boxes = re.findall('<div class="(wide[^"]*)"><table', html)
    assert boxes == ["wide stays-2", "wide stays-3", "wide stays-2", "wide"]


def test_findings_in_the_words_of_the_verdicts(tmp_path: Path) -> None:
    head = "task,split,metric,method,decoding,seeds,difference,difference_low,"
    lines = [
        f"{head}difference_high,primary,holm",
        "qa,test,rougeL,bash,direct,1,0.02,0.01,0.03,1,",
        "qa,test,rougeL,rac,direct,3,0.02,0.01,0.03,1,0.04",
        "qa,test,rougeL,rac,corrected,3,0.02,0.01,0.03,1,0.06",
        "math,test_template,strict,rac,direct,3,-0.02,-0.03,-0.01,1,0.01",
        "math,test,strict,bash,direct,0,,,,1,",
        "math,test,strict,base,direct,1,-0.1,-0.2,-0.05,0,",
    ]
    (tmp_path / "main.csv").write_text("\n".join(lines) + "\n")
    found = findings(tmp_path, {"bash": "BASH", "rac": "RAC"}, 0.95)
    assert [(f.verdict, f.what, f.numbers) for f in found] == [
        ("better", "RAC on qa, ROUGE-L", "+2.0 [+1.0, +3.0] points"),
        ("worse", "RAC on math (test template), strict", "-2.0 [-3.0, -1.0] points"),
        ("better, items only", "BASH on qa, ROUGE-L", "+2.0 [+1.0, +3.0] points"),
        (
            "no difference shown",
            "RAC, corrected once on qa, ROUGE-L",
            "+2.0 [+1.0, +3.0] points",
        ),
        ("not run", "BASH on math, strict", ""),
    ]

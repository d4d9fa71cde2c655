"""What docs/findings.md and the README say in words, held against rows that are shipped."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.shipped import REFERENCE, ROOT, declared

Line = dict[str, str]

TASKS = {"group", "sort"}


def read(run: str, table: str) -> list[Line]:
    with (REFERENCE / run / "tables" / f"{table}.csv").open(newline="") as file:
        return [*csv.DictReader(file)]


CLAIMS, STEPS = read("evidence", "claims"), read("evidence", "steps")
LAPTOP, SMALL = read("laptop", "claims"), read("synthetic", "ablations")
MAIN = read("evidence", "main")
SEEDS = declared()
WHOLE = "All steps right"


def verdicts(method: str, measure: str, decoding: str = "direct") -> set[str]:
    found = [
        line
        for line in CLAIMS
        if (line["method"], line["measure"], line["decoding"])
        == (method, measure, decoding)
    ]
    assert {line["task"] for line in found} == TASKS
    return {line["verdict"].partition(",")[0] for line in found}


def score(method: str, task: str) -> float:
    (line,) = [
        x
        for x in MAIN
        if (x["method"], x["task"], x["decoding"]) == (method, task, "direct")
    ]
    return float(line["mean"])


def excess(method: str, task: str) -> float:
    (line,) = [x for x in STEPS if (x["method"], x["task"]) == (method, task)]
    return float(line["excess"])


def corrections() -> Iterator[Line]:
    yield from read("evidence", "corrections")


def rates(method: str) -> Iterator[bool]:
    for line in read("evidence", "tuning"):
        if line["method"] == method and line["chosen"] == "1":
            yield float(line["candidate"]) == 1e-5


BETAS = ("BASH .1", "BASH .25", "BASH .5", "BASH .75")
BOTH = (*BETAS, *(f"Random at {label}'s" for label in BETAS))


def ends(task: str, measure: str, end: str, *labels: str) -> list[float]:
    """An end of the interval of the difference to continued SFT, of small models."""
    found = [
        float(x[end])
        for x in SMALL
        if (x["experiment"], x["measure"]) == (task, measure)
        and x["label"] in labels
        and x["decoding"] in ("", "direct")
    ]
    assert found
    return found


SAID: dict[str, Callable[[], bool]] = {
    "BASH makes answers worse and exposure bias larger": lambda: (
        verdicts("bash", "whole") == verdicts("bash", "excess") == {"worse"}
    ),
    "RAC gives fewer right\nanswers than plain fine-tuning in one schedule": lambda: (
        verdicts("rac", "whole") == {"worse"}
        and {x["reference"] for x in CLAIMS} == {"sft-whole"}
    ),
    "On summaries and questions neither is shown to differ": lambda: (
        {x["verdict"] for x in LAPTOP if x["task"] in ("summarization", "qa")}
        == {"no difference shown"}
    ),
    "BASH lowers exposure bias on one of three tasks, as random tokens\ndo there": lambda: (
        all(x < 0 for x in ends("extraction", "excess", "difference_high", *BOTH))
    ),
    "on the other two it is not shown to": lambda: all(
        x >= 0
        for task in ("chains", "noisy")
        for x in ends(task, "excess", "difference_high", *BETAS)
    ),
    "on none are answers shown to get better": lambda: all(
        x <= 0
        for task in ("extraction", "chains", "noisy")
        for x in ends(task, "exact", "difference_low", *BETAS)
    ),
    "two were run so far, and a third on one task": lambda: (
        [{task for task, *_ in lines} for lines in SEEDS.values()]
        == [TASKS, TASKS, {"sort"}]
        and {x["seeds"] for x in CLAIMS} == {"1"}
    ),
    "on both tasks and under every seed": lambda: all(
        ends[2] < 0 if measure == WHOLE else ends[1] > 0
        for lines in SEEDS.values()
        for (_, label, measure), ends in lines.items()
        if label == "BASH .25"
    ),
    "on one task under every seed and on\nthe other under one of two": lambda: (
        [
            [
                cells[task, "RAC", WHOLE][2] < 0
                for task in sorted({t for t, *_ in cells})
            ]
            for cells in SEEDS.values()
        ]
        == [[True, True], [False, True], [True]]
    ),
    "Where BASH is worse it is less so than under seed 0": lambda: all(
        lines[cell][0] > SEEDS[0][cell][0]
        for lines in (SEEDS[1], SEEDS[2])
        for cell in lines
        if cell[1:] == ("BASH .25", WHOLE)
    ),
    "under seed 1 RAC's\nloss on `group` is within": lambda: (
        SEEDS[1]["group", "RAC", WHOLE][2] > 0
    ),
    "It has the most right answers on both checked tasks": lambda: all(
        score("sft-whole", x["task"]) >= float(x["mean"]) for x in MAIN if x["mean"]
    ),
    "on one task random ones less than own ones, on the other more": lambda: (
        {score("random", t) > score("bash", t) for t in TASKS} == {True, False}
    ),
    "Continued SFT alone has less excess than one schedule on one task and fewer right"
    " answers on both": lambda: (
        {excess("sft-continued", t) < excess("sft-whole", t) for t in TASKS}
        == {True, False}
        and all(score("sft-continued", t) < score("sft-whole", t) for t in TASKS)
    ),
    "it has no right answer at all": lambda: all(
        score("realigned", t) == 0 for t in TASKS
    ),
    "On the checked tasks the second turn breaks more right answers": lambda: all(
        float(x["worsened"]) > float(x["improved"]) for x in corrections()
    ),
    "are best at the lowest\nrate of the grid": lambda: all(
        all(rates(name)) and [*rates(name)]
        for name in ("bash", "bash-50", "onepass", "online")
    ),
}
"""Sentences of the page, and what of the rows makes each true."""


@pytest.mark.parametrize("sentence", SAID)
def test_what_is_said_is_what_was_found(sentence: str) -> None:
    page = " ".join((ROOT / "docs" / "findings.md").read_text().split())
    assert " ".join(sentence.split()) in page
    assert SAID[sentence]()


def test_the_first_screen_says_no_more() -> None:
    head = " ".join((ROOT / "README.md").read_text().partition("\n## ")[0].split())
    assert "BASH makes answers worse and exposure bias larger" in head
    assert "under every seed that was run" in head
    assert "on one task under every seed and on the other under one of two" in head
    assert Path(ROOT / "docs" / "findings.md").is_file()

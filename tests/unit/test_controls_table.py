"""Methods that differ in one thing: which pairs a run has, and what is shown of them."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest
from tests.judged import NONE, SAME, made
from tests.shipped import graph

from selfgen.graph import twins
from selfgen.methods.base import Trained
from selfgen.report.tables import claims, controls

PAIRS = (("bash", "sft"), ("other", "bash"), ("rac", "absent"))


def drawn(errors: bool = True) -> tuple[list[dict[str, str]], str, dict[str, str]]:
    scores, runs, steps, spec = made(SAME | {"bash": 0.9}, NONE | {"bash": 0.3})
    own = replace(spec, kind="controls", name="controls", own=controls.Controls(PAIRS))
    texts = controls.draw(scores, steps if errors else [], own).texts()
    declared = {
        line["measure"]: line["difference"]
        for line in csv.DictReader(
            io.StringIO(claims.draw(scores, runs, steps, spec).texts()["csv"])
        )
        if line["method"] == "bash"
    }
    return [*csv.DictReader(io.StringIO(texts["csv"]))], texts["md"], declared


def test_the_first_minus_the_second() -> None:
    lines, text, declared = drawn()
    found = {(line["method"], line["minus"]): line for line in lines}
    # A method that was not run is in no line.
    assert set(found) == set(PAIRS[:2])
    same = found["bash", "sft"]
    assert (same["score"], same["excess"]) == (declared["whole"], declared["excess"])
    assert float(found["other", "bash"]["score"]) < -0.2
    rows = [line for line in text.splitlines() if line.startswith("| words")]
    marks = [
        ["".join(c for c in box if c in "▲▼") for box in row.split(" | ")[3:]]
        for row in rows
    ]
    # More right answers, more errors after own steps, as many after the reference's.
    assert marks == [
        ["▲", "▼", "", "▼"],
        ["▼", "▲", "", "▲"],
    ]


def test_without_a_checker_there_are_scores_alone() -> None:
    lines, text, _ = drawn(errors=False)
    assert {line["excess"] for line in lines} == {""}
    assert "Excess" not in text.splitlines()[2]
    assert "No task here has steps that a checker judges." in text


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("bash", "sft-continued"),
        ("rac", "sft-continued"),
        ("bash", "random"),
        ("bash", "sft-wall"),
        ("online", "bash"),
        ("realigned", "bash"),
    ],
)
def test_what_the_evidence_run_compares(first: str, second: str) -> None:
    methods = graph("evidence").config.methods
    trained = {n: m for n, m in methods.items() if isinstance(m, Trained)}
    pairs = [*twins.pairs(trained)]
    assert (first, second) in pairs
    assert len(pairs) == len({frozenset(pair) for pair in pairs})
    # What starts from other weights, or trains for other steps, is no twin.
    assert not [pair for pair in pairs if "sft" in pair or "sft-whole" in pair]

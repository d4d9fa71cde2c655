"""Offline against online: scores, excess errors, seconds and tokens, from invented runs."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any

import pandas as pd
from tests.judged import NONE, SAME, made

from selfgen.report.runs import RUNS
from selfgen.report.tables import claims, online

METHODS = ("sft", "bash", "other")


def drawn(errors: bool = True) -> tuple[list[dict[str, str]], str, tuple[Any, ...]]:
    """Three seeds; BASH drew 1,000 tokens in 10, 20 and, beside other work, 300 seconds and
    trained for 5; the other drew 2,500 while it trained."""
    scores, runs, steps, spec = made(SAME | {"bash": 0.9}, NONE | {"bash": 0.3})
    runs["generated_tokens"] = runs["method"].map({"bash": 1000, "other": 2500})
    runs = runs.fillna({"generated_tokens": 0})[list(RUNS)]
    timings = pd.DataFrame(
        [
            {"task": "words", "model": "m", "method": method, "seed": seed}
            | {"stage": stage, "seconds": seconds}
            for seed in range(3)
            for method, stage, seconds in (
                ("bash", "pass", (10.0, 20.0, 300.0)[seed]),
                ("bash", "train", 5.0),
                ("other", "pass", 70.0),
                ("other", "train", 5.0),
                ("sft", "train", 5.0),
            )
        ]
    )
    own = replace(spec, kind="online", name="online", own=online.Online(METHODS))
    given = (scores, runs, timings, steps if errors else [], own)
    texts = online.draw(*given).texts()
    return [*csv.DictReader(io.StringIO(texts["csv"]))], texts["md"], given


def test_what_each_gives_and_what_it_costs() -> None:
    lines, text, (scores, runs, _, steps, spec) = drawn()
    found = {line["method"]: line for line in lines}
    assert set(found) == set(METHODS)
    names = ("pass_seconds", "train_seconds")
    seconds = [tuple(float(x[n] or 0) for n in names) for x in found.values()]
    assert seconds == [(0, 5), (20, 5), (70, 5)]
    tokens = [float(line["generated_tokens"]) for line in found.values()]
    assert tokens == [0, 1000, 2500]
    # Scores and excess are those of the declared comparisons.
    declared = {
        (line["method"], line["measure"]): line
        for line in csv.DictReader(
            io.StringIO(claims.draw(scores, runs, steps, spec).texts()["csv"])
        )
    }
    bash = found["bash"]
    assert bash["score_difference"] == declared["bash", "whole"]["difference"]
    assert bash["excess_difference"] == declared["bash", "excess"]["difference"]
    assert found["sft"]["score_difference"] == ""
    row = next(line for line in text.splitlines() if line.startswith("| words | Other"))
    assert row.endswith("| 70 | 5 | 75 | 2.5 | — |")


def test_without_a_checker_there_is_no_excess() -> None:
    lines, text, _ = drawn(errors=False)
    assert {line["excess"] for line in lines} == {""}
    assert "Excess" not in text.splitlines()[2]
    assert "No task here has steps that a checker judges." in text

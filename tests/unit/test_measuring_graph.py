"""Whose exposure bias a run measures, and against what."""

from __future__ import annotations

from typing import Any

import yaml
from tests.unit.test_plan import SMALL

from selfgen.config import load
from selfgen.graph import measuring
from selfgen.graph.inputs import INPUTS
from selfgen.graph.steps import Graph
from selfgen.graph.tables import tables


def measured(oracle: dict[str, Any], methods: list[str] | None = None) -> Graph:
    """Of two seeds, with a second task that has some methods."""
    raw = yaml.safe_load(SMALL.read_text()) | {"seeds": [0, 1]}
    if methods:
        raw["tasks"]["other"] = raw["tasks"]["descriptions"] | {"methods": methods}
    raw["evaluation"] = {"measure": {"prompts": 4}, "oracle": oracle}
    return Graph(load(raw))


def seeds(known: Graph, task: str = "descriptions") -> dict[str, list[int]]:
    """Those of each method that is measured on a task."""
    found: dict[str, list[int]] = {}
    for cell in measuring.cells(known):
        if cell.task == task:
            found.setdefault(cell.method, []).append(cell.seed)
    return found


def has_oracle(known: Graph, method: str, task: str = "descriptions") -> set[bool]:
    """Whether there is one, for the files of a measurement and for its step."""
    address = (task, "tiny", method, 0)
    files = INPUTS["measure_model"](known, *address)
    return {"oracle" in files, measuring.spec(known, *address).oracle}


def test_the_oracle_is_measured_without_one() -> None:
    known = measured({"method": "sft"})
    assert seeds(known)["sft"] == seeds(known)["bash"] == [0, 1]
    assert has_oracle(known, "sft") == {False}
    assert has_oracle(known, "bash") == has_oracle(known, "base") == {True}
    assert "itself" in measuring.page(known, "descriptions", "tiny").about["oracle"]


def test_seeds_of_a_method_are_read_alike() -> None:
    """One seed of two is the oracle: the other is held against it, and that one is not."""
    known = measured({"method": "sft", "seed": 1})
    assert seeds(known)["sft"] == [0]
    assert seeds(known)["bash"] == [0, 1]
    assert has_oracle(known, "sft") == {True}


def test_a_task_without_the_oracle_is_measured_without_one() -> None:
    known = measured({"method": "bash"}, methods=["base", "sft", "sft-continued"])
    assert seeds(known, "other").keys() == {"base", "sft", "sft-continued"}
    assert has_oracle(known, "base", "other") == {False}
    assert has_oracle(known, "base") == {True}


def test_the_oracle_s_lengths_are_those_of_the_measures() -> None:
    address = ("descriptions", "tiny", "bash", 0)
    known = measured({"method": "sft", "lengths": [4, 12]})
    assert measuring.spec(known, *address).measure.length == 12
    assert measuring.page(known, "descriptions", "tiny").lengths == (4, 12)
    assert tables(known)["measures"].spec.own == (4, 12)

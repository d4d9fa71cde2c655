"""Every shipped configuration with one mistake in it, at every kind of place: refused, in one
line that names the place."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from selfgen.config import load, synthetic
from selfgen.core.errors import UserError
from selfgen.graph.steps import Graph
from tests.flow import CONFIGS, REPO

Path = tuple[str | int, ...]
FREE = ("architecture", "member")
"""Keys under which anything may stand."""

DOLLARS = ("budget", "input_price", "output_price")

WRONG: dict[str, Callable[[Any], Any]] = {
    "a section for a value": lambda _: {"a": 1},
    "lists for a value": lambda _: [[1], [2]],
    "text for a number": lambda _: "many",
    "a date for a number": lambda _: yaml.safe_load("2026-01-01"),
    "no number": lambda _: math.nan,
    "endless": lambda _: math.inf,
    "yes for a number": lambda _: True,
    "a number for text": lambda _: 7.5,
    "no for text": lambda _: yaml.safe_load("no"),
    "unicode for a choice": lambda _: "zürich \u202e ☃",
}
FOR_NUMBERS = tuple(list(WRONG)[:7])
FOR_TEXT = (*list(WRONG)[:2], *list(WRONG)[7:9])


def shipped(name: str) -> dict[str, Any]:
    return yaml.safe_load((REPO / "config" / f"{name}.yaml").read_text())


def check(name: str, raw: dict[str, Any]) -> None:
    """As the Snakefile does."""
    if name == "synthetic":
        synthetic.load(raw)
    else:
        Graph(load(raw), REPO)


def places(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every section and every value of a configuration."""
    yield path, value
    if isinstance(value, dict) and not (path and path[-1] in FREE):
        for key, inner in value.items():
            yield from places(inner, (*path, key))


def mutants(raw: dict[str, Any]) -> list[tuple[str, Path, Any]]:
    """(what, place, what stands there)."""
    found: list[tuple[str, Path, Any]] = []
    for path, value in places(raw):
        if any(key in FREE for key in path):
            continue
        if isinstance(value, dict):
            if path:
                found.append(("an unknown key", (*path, "xyzzy"), 1))
                found.append(("a list for a section", path, [1]))
                found.append(("text for a section", path, "all"))
        elif isinstance(value, bool):
            continue
        elif isinstance(value, int | float):
            found += [(what, path, WRONG[what](value)) for what in FOR_NUMBERS]
            if path[-1] not in ("seed", "c"):  # any number is one
                found.append(("far below", path, -(10**9)))
                if isinstance(value, int) and path[-1] not in DOLLARS:
                    found.append(("far above", path, 10**40))
        elif isinstance(value, str):
            found += [(what, path, WRONG[what](value)) for what in FOR_TEXT]
        elif isinstance(value, list):
            found.append(("an empty list", path, []))
            found.append(("one value for a list", path, -3))
    return found


def planted(raw: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    # Not deepcopy, which keeps together what an anchor of YAML has made one.
    other = json.loads(json.dumps(raw))
    node: Any = other
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return other


@pytest.mark.parametrize("name", [*CONFIGS, "synthetic"])
def test_one_mistake_is_one_line(name: str) -> None:
    raw = shipped(name)
    check(name, raw)
    every = mutants(raw)
    assert len(every) >= 60
    for what, path, value in every:
        where = ".".join(map(str, path))
        with pytest.raises(UserError) as caught:
            check(name, planted(raw, path, value))
            pytest.fail(f"{name}: {where}: {what}: accepted")
        lines = str(caught.value).splitlines()
        assert len(lines) == 1, (what, where, lines)
        assert len(lines[0]) < 600, (what, where, lines)
        assert str(path[-1]) in lines[0], (what, where, lines)

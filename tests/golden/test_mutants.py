"""The tests of the pass would see an off-by-one: each of these must change the tokens.

A mutant is a module of selfgen with one expression replaced, put in the place of the
original for one comparison with the oracle.
"""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from tests.golden.conftest import KINDS, built
from tests.golden.test_forced import expected, made, references, spec_of

GENERATION = "selfgen.generation."

WINDOWED = ("speculative", "Windowed", "windowed")
SLOTS = ("kv_cache", "Slots", "windowed")
SEQUENTIAL = ("sequential", "Sequential", "sequential")
ONEPASS = ("onepass", "OnePass", "onepass")
"""Module, the name that its users take from it, and the engine that shows the change."""

MUTANTS = [
    (WINDOWED, "first + mark - 1 -", "first + mark - 2 -"),
    (WINDOWED, "work.cached = mark\n", "work.cached = mark + 1\n"),
    (WINDOWED, "if not right:", "if False:"),
    (WINDOWED, "mark - len(work.row.prompt_ids)", "mark"),
    (WINDOWED, "[prompt + t for t", "[prompt + t + 1 for t"),
    (SLOTS, "place <= last", "place < last + 2"),
    (SLOTS, "place > last - window", "place >= last - window"),
    (SLOTS, "repeat(starts, lengths)", "repeat(starts + 1, lengths)"),
    (SLOTS, "starts[:, None] + column, 0", "starts[:, None], 0"),
    (SEQUENTIAL, "positions[:, -1:] + 1", "positions[:, -1:] + 2"),
    (SEQUENTIAL, "drawn[lines, step]", "drawn[lines, step - 1]"),
    (SEQUENTIAL, "(lines[chosen], step)", "(lines[chosen], step + 1)"),
    (ONEPASS, "len(row.given) + t)", "len(row.given) + t - 1)"),
    (ONEPASS, "positions.append(t)", "positions.append(t + 1)"),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m[0][0]}: {m[2].strip()}")
def test_a_mutant_is_seen(mutant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (name, cls, engine), old, new = mutant
    module = importlib.import_module(GENERATION + name)
    source = Path(module.__file__).read_text(encoding="utf-8")
    assert source.count(old) == 1, "the expression is no longer there, or not alone"
    changed = types.ModuleType(module.__name__)
    monkeypatch.setitem(sys.modules, module.__name__, changed)
    exec(compile(source.replace(old, new), module.__file__, "exec"), changed.__dict__)
    for user in ("engines", "forced", "speculative"):
        users = importlib.import_module(GENERATION + user)
        if hasattr(users, cls) and user != name:
            monkeypatch.setattr(users, cls, getattr(changed, cls))
    assert any(differs(kind, engine) for kind in KINDS)


def differs(kind: str, engine: str) -> bool:
    rows = references(12, longest=24)
    spec = spec_of(kind="onepass" if engine == "onepass" else "forced")
    wanted = expected(built(kind), rows, spec)
    try:
        return made(built(kind), rows, spec, engine) != wanted
    except (IndexError, ValueError, RuntimeError):
        return True

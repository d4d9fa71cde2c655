"""The tests of the passes would see an off-by-one: mutants of the engines, which must
change tokens.

Every operator of ``mutation`` is applied wherever it fits. What changes no token is listed
in ``EQUIVALENT`` with its reason.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache, partial
from typing import Any
from unittest import mock

import pytest
import torch

from selfgen.core.errors import UserError
from selfgen.core.spec import Sampling
from selfgen.generation import (
    engines,
    forced,
    kv_cache,
    onepass,
    sequential,
    speculative,
)
from selfgen.generation.kv_cache import KVCache
from selfgen.generation.onepass import OnePass
from selfgen.generation.sequential import Sequential, Uncached
from selfgen.generation.speculative import (
    Acceptance,
    Cost,
    Speculative,
    Waiting,
    Work,
)
from tests.golden import test_free
from tests.golden.conftest import EOS, VOCABULARY, built
from tests.golden.mutation import EndlessError, Mutant, mutants
from tests.golden.test_forced import expected, made, references, spec_of

MODULES = {
    speculative: "speculative",
    kv_cache: "speculative",
    sequential: "sequential",
    onepass: "onepass",
}
"""The mutated modules, and the engine that shows the change."""

COUNTED = "what is counted for the manifest"
BUFFER = (
    "of a buffer or a default only shape and type count, or it is larger than needed"
)
FILLER = "a filler: nobody reads what comes of it"
READ_AHEAD = "how far to read ahead, never what is drawn"
EARLIER = "when finished rows leave, and memory with them"
SHARED = "what is read again, in which order, never what is drawn"
PREFIX = "whether a common beginning is read once or for every row"
ALL_DRAW = "finished rows draw too, and nobody reads it"
SOFTMAX = "the same added to all scores, or to all keys"

SETTLE, PREFIX_OF = Speculative._settle, Speculative._read_prefix
BATCH, ONE_PASS = Sequential._batch, OnePass._batch

EQUIVALENT: dict[tuple[Any, ...], str] = {
    (Acceptance.add,): READ_AHEAD,
    (Acceptance.rate.fget,): READ_AHEAD,
    (Work.behind.fget,): READ_AHEAD,
    (Work.last.fget,): READ_AHEAD,
    (Speculative.__init__, "assign", 2, "larger"): BUFFER,
    (Speculative._spans,): READ_AHEAD,
    (Speculative._read_on,): READ_AHEAD,
    (Speculative.__call__, "assign", 1, "larger"): BUFFER,
    (Speculative.__call__, "if", 3): EARLIER,
    (Speculative.__call__, "assign", 6, "never"): SHARED,
    (Speculative.__call__, "if", 1, "never"): SHARED,
    (Speculative.__call__, "if", 1, "equality"): SHARED,
    (Work.shared, "assign", 0, "larger"): SHARED,
    (Work.shared, "assign", 1, "equality"): SHARED,
    (Work.shared, "return", 0, "never"): SHARED,
    (Waiting.__init__,): SHARED,
    (Waiting.next, "if", 0, "always"): SHARED,
    (PREFIX_OF, "if", 0): PREFIX,
    (PREFIX_OF, "assign", 2, "equality"): PREFIX,
    (PREFIX_OF, "assign", 3, "larger"): PREFIX,
    (PREFIX_OF, "if", 1): PREFIX,
    (PREFIX_OF, "expr", 2, "shift"): "what lies behind is written before it is read",
    (Speculative._forward, "augassign"): COUNTED,
    (Speculative._step, "augassign", 1, "sign"): COUNTED,
    (Speculative._copy_on,): READ_AHEAD,
    (Speculative._lookup,): READ_AHEAD,
    (Speculative._count,): READ_AHEAD,
    (Speculative._guess,): "another guess",
    (SETTLE, "expr", 1): READ_AHEAD,
    (SETTLE, "if", 2, "never"): READ_AHEAD,
    (SETTLE, "if", 3, "always"): "draws that could be kept are made again",
    (SETTLE, "if", 4): "another guess",
    (SETTLE, "expr", 3): "another guess",
    (KVCache.__init__, "assign", 0, "shift"): BUFFER,
    (KVCache.__init__, "assign", 1, "first operand", 1): BUFFER,
    (KVCache.__init__, "assign", 1, "shift"): BUFFER,
    (KVCache.attend, "expr", 1, "shift", 1): SOFTMAX,
    (KVCache.attend, "if", 1, "never"): "one group, put in its place all the same",
    (KVCache.attend, "return", 0, "shift", 1): SOFTMAX,
    (KVCache.attend, "assign", 3, "shift"): BUFFER,
    (KVCache.attend, "assign", 5, "shift", 2): SOFTMAX,
    (KVCache.attend, "assign", 0, "shift"): "other names for the same layers",
    (KVCache.attend, "augassign", 0, "sign"): "other names for the same calls",
    (KVCache.attend, "augassign", 0, "larger"): "other names for the same calls",
    (KVCache._attend, "assign", 1, "shift", 3): SOFTMAX,
    (KVCache._attend, "assign", 3, "shift", 2): BUFFER,
    (KVCache._mask, "if", 0, "always"): "made again for every layer",
    (KVCache._mask, "if", 0, "shift"): "made again for every layer",
    (KVCache._mask, "assign", 5, "shift", 2): SOFTMAX,
    (KVCache._make_groups, "assign", 0): "which spans share a call",
    (KVCache._make_groups, "assign", 2): "whether slots are read in place or copied",
    (KVCache._group, "assign", 2, "always"): BUFFER,
    (KVCache._group, "assign", 3, "shift"): BUFFER,
    (KVCache._group, "assign", 6, "larger"): FILLER,
    (KVCache._group, "assign", 7, "larger"): FILLER,
    (KVCache._group, "assign", 7, "shift", 1): FILLER,
    (BATCH, "assign", 1, "larger"): FILLER,
    (BATCH, "assign", 2, "shift"): BUFFER,
    (BATCH, "assign", 3, "shift"): BUFFER,
    (BATCH, "assign", 4, "shift"): BUFFER,
    (BATCH, "assign", 11, "shift"): BUFFER,
    (BATCH, "assign", 13, "larger", 2): "positions of padding",
    (BATCH, "augassign", 0): COUNTED,
    (BATCH, "augassign", 1): COUNTED,
    (BATCH, "assign", 17, "first operand"): ALL_DRAW,
    (BATCH, "augassign", 2): COUNTED,
    (BATCH, "if", 3): EARLIER,
    (BATCH, "assign", 26, "shift"): BUFFER,
    (BATCH, "assign", 28, "shift", 1): BUFFER,
    (Uncached._batch, "augassign"): COUNTED,
    (ONE_PASS, "assign", 0, "larger"): "nothing is drawn behind the last but one",
    (ONE_PASS, "augassign"): COUNTED,
}
"""Function and, as far as it goes, the rest of the address: these change no token."""


@contextmanager
def in_place(mutant: Mutant) -> Iterator[None]:
    """The mutant instead of its module, for all that use it."""
    original = mutant.module
    changed = types.ModuleType(original.__name__)
    with ExitStack() as stack:
        stack.enter_context(
            mock.patch.dict("sys.modules", {original.__name__: changed})
        )
        mutant.execute(changed.__dict__)
        for user in (engines, forced, *MODULES):
            for name, value in vars(user).items():
                if user is not original and value is vars(original).get(name, user):
                    new = vars(changed)[name]
                    stack.enter_context(mock.patch.object(user, name, new))
        yield


Rows = list[forced.Reference]


@cache
def ragged() -> Rows:
    """Prompts that share a beginning, answers longer than a window of attention, and one
    answer that has no position to draw."""
    found = [
        forced.Reference(
            r.id, r.epoch, [*range(3, 13), *r.prompt_ids[:16]], r.answer_ids
        )
        for r in references(6, longest=24)
        if len(r.prompt_ids) > 3
    ]
    return [*found, forced.Reference("closed", 0, list(range(3, 19)), [EOS])]


@cache
def near_misses(engine: str, kind: str) -> Rows:
    """References that are one off wherever the model draws, and a prompt that is the
    beginning of all: their answers are those to ``ragged``."""
    tokens = {name: made for name, (made, _) in mixed(engine, kind, ragged()).items()}
    drawn = {name: mask for name, (_, mask) in mixed(engine, kind, ragged()).items()}
    return [
        forced.Reference(
            row.id,
            row.epoch,
            row.prompt_ids,
            [
                3 + (token - 2) % (VOCABULARY - 3) if own else token
                for token, own in zip(tokens[row.id], drawn[row.id], strict=True)
            ],
        )
        for row in ragged()
    ] + [forced.Reference("short", 0, list(range(3, 13)), [7, 8, 9, 10, EOS])]


def mixed(engine: str, kind: str, rows: Rows, overhead: float = 64.0) -> Any:
    spec = spec_of(kind="onepass" if engine == "onepass" else "forced")
    return made(of_kind(kind), rows, spec, engine, overhead)


@cache
def of_kind(kind: str) -> Any:
    model = built(kind)
    if kind == "gpt2":
        with torch.no_grad():
            model.transformer.wpe.weight.mul_(20)
    return model


def in_parts(engine: str, kind: str, rows: Rows) -> Any:
    """With room for a few tokens a pass."""
    room = sys.modules[speculative.__name__].STEP_TOKENS
    with mock.patch.dict(room, cpu=5):
        return mixed(engine, kind, rows)


def answered(engine: str, kind: str = "llama") -> Any:
    """Free decoding: answers that end by EOS or at their limit."""
    settings = {"sampling": Sampling(8.0), "engine": engine, "batch_size": 9}
    return test_free.run(built(kind), test_free.prompts(9), **settings)


def grouped(engine: str) -> Any:
    """Free decoding of prompts that share their beginnings, a few at a time."""
    settings = {"sampling": Sampling(8.0), "engine": engine, "batch_size": 4}
    return test_free.run(built("llama"), test_free.nested(5), **settings)


def copied(engine: str) -> Any:
    """Free decoding beside siblings that go wrong now and then, with more than a pass may
    read on."""
    rows = test_free.prompts(9)
    settings = {"sampling": Sampling(8.0), "batch_size": 3, "max_new_tokens": 24}
    near = test_free.complete(built("llama"), rows, engine="sequential", **settings)
    told = [
        replace(row, sibling=[*ids[: 3 + n], 7, *ids[4 + n :], 9, 9])
        for n, (row, ids) in enumerate(zip(rows, near, strict=True))
    ]
    with mock.patch.dict(sys.modules[engines.__name__].COST, cpu=Cost(1e6, 0.5)):
        return test_free.complete(built("llama"), told, engine=engine, **settings)


@cache
def runs(engine: str) -> list[tuple[Callable[[], Any], Any]]:
    """Runs of an engine and what comes out of them.

    The models attend in a sliding window, have no window, and count positions from the
    start of the text (the others see distances alone); the overheads make the engine read
    on over guesses now and then, never, and to the end.
    """
    alone = [forced.Reference("alone", 0, [5], ragged()[0].answer_ids)]
    closed = ragged()[-1:]
    misses = near_misses(engine, "gpt2")
    calls: list[Callable[[], Any]] = [
        partial(mixed, engine, "llama", alone),
        partial(mixed, engine, "mistral", closed),
        partial(mixed, engine, "gpt2", misses, 1e6),
        partial(mixed, engine, "mistral", ragged()),
    ]
    if engine == "sequential":  # whose cache it does not fill, so that it reads again
        calls.append(partial(mixed, engine, "mamba", ragged()))
        calls.append(partial(answered, engine, "mamba"))
    if engine == "speculative":
        calls.append(partial(mixed, engine, "llama", ragged(), 0.0))
        calls.append(partial(mixed, engine, "diffllama", ragged()))
        calls.append(partial(in_parts, engine, "mistral", ragged()))
        calls.append(partial(grouped, engine))
        calls.append(partial(copied, engine))
    if engine != "onepass":
        calls.append(partial(answered, engine))
    return [(call, call()) for call in calls]


def is_seen(mutant: Mutant) -> bool:
    found = runs(MODULES[mutant.module])
    for number, (call, right) in enumerate(found):
        try:
            if call() == right:
                continue
        except (
            ArithmeticError,
            EndlessError,
            UserError,
            LookupError,
            RuntimeError,
            TypeError,
            ValueError,
            AttributeError,
        ):
            pass
        found.insert(0, found.pop(number))  # most likely sees the next, too
        return True
    return False


def listed(mutant: Mutant) -> list[tuple[Any, ...]]:
    """The entries of ``EQUIVALENT`` that name a mutant."""
    return [
        entry
        for entry in EQUIVALENT
        if entry[0].__module__ == mutant.module.__name__
        and mutant.address[: len(entry)] == (entry[0].__qualname__, *entry[1:])
    ]


def open_mutants() -> dict[str, list[Mutant]]:
    """The mutants that must be seen, by their function."""
    found: dict[str, list[Mutant]] = {}
    for module in MODULES:
        for mutant in mutants(module):
            if not listed(mutant):
                name = f"{module.__name__.rpartition('.')[2]}.{mutant.address[0]}"
                found.setdefault(name, []).append(mutant)
    return found


OPEN = open_mutants()


@pytest.mark.parametrize("function", OPEN)
def test_every_mutant_is_seen(function: str) -> None:
    unseen = []
    for mutant in OPEN[function]:
        runs(MODULES[mutant.module])
        with in_place(mutant):
            if not is_seen(mutant):
                unseen.append(str(mutant))
    assert not unseen


def test_what_comes_out_is_that_of_the_oracle() -> None:
    """So that a mutant is compared with the truth, not with the engine."""
    near = near_misses("speculative", "gpt2")
    for kind, rows in (("gpt2", near), ("mistral", ragged()), ("llama", ragged())):
        wanted = expected(of_kind(kind), rows, spec_of())
        assert mixed("speculative", kind, rows) == wanted
        assert mixed("sequential", kind, rows) == wanted
        one = expected(of_kind(kind), rows, spec_of(kind="onepass"))
        assert mixed("onepass", kind, rows) == one


def test_the_list_of_equivalents_is_not_out_of_date() -> None:
    named = {
        entry for module in MODULES for m in mutants(module) for entry in listed(m)
    }
    assert named == set(EQUIVALENT)

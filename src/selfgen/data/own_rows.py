"""Rows of a user's own files as records: which columns they are made of, and what is wrong
with those that cannot be.

A row is asked for as a prompt and a reference (a column each, or templates of columns), or as
messages in chat form, whose last turn is the reference. Both of TRL's forms are read:
``prompt`` and ``completion`` may be texts or messages.
"""

from __future__ import annotations

import collections
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selfgen.core.errors import UserError
from selfgen.core.types import hint
from selfgen.data import tables
from selfgen.data.columns import ASKED, Columns
from selfgen.data.turns import ROLES, sound

FAULTS = {
    "missing": "has no {}",
    "no text": "has no text in {}",
    "empty": "is empty in {}",
    "no messages": "has no messages that end in an answer in {}",
    "twice": "has the id of another row",
    "same": "says the same as another row",
}
"""What is wrong with a row that cannot be a record."""


class Fault(Exception):
    """Why a row is no record: one of ``FAULTS``, and in which column."""

    def __init__(self, kind: str, column: str = "", said: str = "") -> None:
        super().__init__(kind)
        self.kind, self.column, self.said = kind, column, said

    def __str__(self) -> str:
        return FAULTS[self.kind].format(f"`{self.column}`") + self.said


@dataclass(frozen=True)
class Own:
    """A record without its split: texts, earlier turns, and an id."""

    id: str
    prompt: str
    reference: str
    history: tuple[dict[str, str], ...] = ()

    def asked(self) -> str:
        """All that stands before the answer, as one text."""
        return json.dumps([*self.history, self.prompt], ensure_ascii=False)


def record_of(row: Mapping[str, Any], columns: Columns) -> Own:
    """A row as a record; raises Fault."""
    if columns.messages:
        where = columns.messages
        history, prompt, reference = _turns(_value(row, where), where)
    else:
        history, prompt = _prompt(row, columns.prompt)
        reference = _text(row, columns.reference, answer=True)
    for text, column in (
        (prompt, columns.messages or columns.prompt),
        (reference, columns.messages or columns.reference),
    ):
        _written(text, column)
    made = Own("", prompt, reference, history)
    if columns.id:
        name = _value(row, columns.id)
        if isinstance(name, bool) or not isinstance(name, str | int) or name == "":
            raise Fault("no text", columns.id, f", but {name!r:.40}")
        _written(str(name), columns.id)
        return Own(str(name), prompt, reference, history)
    return Own(digest(made), prompt, reference, history)


def digest(own: Own) -> str:
    """What an id is where no column says it: it tells what a record says."""
    text = json.dumps([own.asked(), own.reference])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _written(text: str, column: str) -> None:
    if not text.strip():
        raise Fault("empty", column)
    try:
        sound([text])
    except UserError as error:
        raise Fault("no text", column, f": {error}") from None


def _value(row: Mapping[str, Any], path: str) -> Any:
    """The value of a column, or of a dotted path into one."""
    if path in row:
        return row[path]
    found: Any = row
    for key in path.split("."):
        if not isinstance(found, Mapping) or key not in found:
            raise Fault("missing", path, hint(path, sorted(map(str, _paths(row)))))
        found = found[key]
    return found


def _paths(row: Mapping[str, Any]) -> Iterator[str]:
    """The columns of a row, and those within them."""
    for key, value in row.items():
        if isinstance(value, Mapping):
            yield from (f"{key}.{inner}" for inner in _paths(value))
        else:
            yield key


def _text(row: Mapping[str, Any], asked: str, *, answer: bool = False) -> str:
    """A column, or a template of columns, as text; numbers are written as they are."""
    if names := ASKED.findall(asked):
        cells = {name: _text(row, name) for name in names}
        return ASKED.sub(lambda found: cells[found[1]], asked)
    value = _value(row, asked)
    if answer and isinstance(value, list) and len(value) == 1:
        (turn,) = _messages(value, asked)
        if turn["role"] == "assistant":
            value = turn["content"]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Fault("no text", asked, f", but {value!r:.40}")
    return str(value)


def _prompt(
    row: Mapping[str, Any], asked: str
) -> tuple[tuple[dict[str, str], ...], str]:
    """Earlier turns and the user's message of a prompt, which may be messages."""
    value = None if ASKED.search(asked) else _value(row, asked)
    if not isinstance(value, list):
        return (), _text(row, asked)
    turns = _messages(value, asked)
    if not turns or turns[-1]["role"] != "user":
        raise Fault("no messages", asked, ": the last turn is not the user's")
    return tuple(turns[:-1]), turns[-1]["content"]


def _turns(value: Any, column: str) -> tuple[tuple[dict[str, str], ...], str, str]:
    """Earlier turns, the user's last message, and the answer, of whole dialogues. What stands
    after the last answer is not asked for."""
    turns = _messages(value, column)
    while turns and turns[-1]["role"] != "assistant":
        turns.pop()
    if len(turns) < 2 or turns[-2]["role"] != "user":
        raise Fault("no messages", column)
    return tuple(turns[:-2]), turns[-2]["content"], turns[-1]["content"]


def _messages(value: Any, column: str) -> list[dict[str, str]]:
    if not isinstance(value, list):
        raise Fault("no messages", column, f", but {value!r:.40}")
    found = []
    for turn in value:
        role, text = (
            (turn.get("role"), turn.get("content"))
            if isinstance(turn, Mapping)
            else (None, None)
        )
        if role not in ROLES or not isinstance(text, str):
            raise Fault("no messages", column, f": a turn is {turn!r:.60}")
        _written(text, column)
        found.append({"role": role, "content": text})
    return found


# Files


@dataclass
class Faults:
    """How many rows are no records, by what is wrong, and where the first of each is."""

    counts: collections.Counter[str] = field(default_factory=collections.Counter)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, where: str, fault: Fault) -> None:
        self.counts[fault.kind] += 1
        self.first.setdefault(fault.kind, f"{where} {fault}")

    def told(self) -> str:
        """The first of each kind, and how many more there are."""
        return "; ".join(
            said + (f" (as {n - 1} more)" if (n := self.counts[kind]) > 1 else "")
            for kind, said in self.first.items()
        )


@dataclass
class Seen:
    """What was read before, as numbers: ids, and what records say."""

    ids: set[int] = field(default_factory=set)
    said: set[int] = field(default_factory=set)

    def once(self, own: Own, named: bool) -> None:
        """Raises Fault where a record says what another says, or has its id; ``named``:
        whether a column says the id."""
        what = int(digest(own)[:15], 16)
        if what in self.said:
            raise Fault("same")
        if named:
            name = int(hashlib.sha256(own.id.encode()).hexdigest()[:15], 16)
            if name in self.ids:
                raise Fault("twice", said=f", {own.id!r:.60}")
            self.ids.add(name)
        self.said.add(what)


def records_of(
    rows: Iterable[tuple[str, Mapping[str, Any]]],
    columns: Columns,
    faults: Faults,
    seen: Seen,
) -> Iterator[Own]:
    """The records of rows, each with where it stands. One that says what another says, or has
    its id, is a fault like any other. All of ``faults`` are known when the last is out."""
    for where, row in rows:
        try:
            own = record_of(row, columns)
            seen.once(own, bool(columns.id))
        except Fault as fault:
            faults.add(where, fault)
        else:
            yield own


def read(
    paths: Iterable[Path], columns: Columns, faults: Faults
) -> Iterator[tuple[int, Own]]:
    """``records_of`` the rows of some files, each with the place of its file. Two numbers a
    row are kept.

    Raises UserError: a file that cannot be read or has no rows, or none of whose rows has a
    column.
    """
    seen = Seen()
    for place, path in enumerate(paths):
        found, before = 0, faults.counts.copy()
        for own in records_of(tables.read(path), columns, faults, seen):
            found += 1
            yield place, own
        failed = faults.counts - before
        if not found and not failed:
            raise UserError(f"{path}: found no rows, allowed: at least one")
        if not found and failed["missing"]:
            raise UserError(f"no row is a record: {faults.first['missing']}")

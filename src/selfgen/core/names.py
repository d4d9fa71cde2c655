"""Names and labels of a configuration: which can be told apart, as files and by readers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator

NAME = r"^[a-z0-9]+(-[a-z0-9]+|\.[0-9][a-z0-9]*)*$"
"""A name is a part of paths, as it stands. What follows a dot begins with a digit
(``gpt-3.5``), so that no name ends as a file does (``.json``, ``.leakage``), nor as a round
(``.r1``) or a rate that is tried (``.lr1e-05``). There are no capitals, which some disks do
not tell apart."""

MAX_NAME = 64
"""A file's name has at most 255 bytes: a name, what stands around it, and what is added
while the file is written."""

ALLOWED = (
    "lower-case letters and digits, with single dashes between them and dots before digits,"
    f" at most {MAX_NAME} characters"
)
MAX_LABEL = 100
"""Longer ones make figures that no page holds."""


def check(group: str, names: Iterable[str]) -> None:
    """Raises ValueError where a name of a section is none."""
    for name in names:
        if len(name) > MAX_NAME or not re.fullmatch(NAME, name):
            raise ValueError(
                f"{group}.{name[:MAX_NAME]}: found {name!r:.80}, allowed are {ALLOWED}"
            )


def apart(named: Iterable[tuple[str, str]]) -> None:
    """Raises ValueError where two things have one name: ``named`` are pairs of where a thing
    stands in the configuration and what it is called. Case, spaces and the way that accents
    are written do not count, since readers do not tell them apart."""
    places: dict[str, str] = {}
    for where, name in named:
        same = " ".join(unicodedata.normalize("NFC", name).casefold().split())
        other = places.setdefault(same, where)
        if other != where:
            raise ValueError(
                f"{where}: found {name!r:.80}, which {other} is called too"
            )


TEXT = "one line of printable characters, with no space around it"


def is_text(value: str) -> bool:
    """Whether a value can be shown to readers."""
    return bool(value) and value == value.strip() and value.isprintable()


Decoding = Literal["direct", "corrected", "corrected-2", "corrected-3"]
DECODINGS: tuple[str, ...] = get_args(Decoding)
"""How a method answers: each but the first is shown the answer of the one before it and the
correction turn, and answers again."""


def draft_of(decoding: str) -> str | None:
    """The decoding whose answer is shown; the first is shown none."""
    place = DECODINGS.index(decoding)
    return DECODINGS[place - 1] if place else None


def row_name(label: str, decoding: str) -> str:
    """What a reader calls a row: a method's label, and how often its answer was corrected."""
    turns = dict(zip(DECODINGS[1:], ("once", "twice", "three times"), strict=True))
    return f"{label}, corrected {turns[decoding]}" if decoding in turns else label


def _text(value: str) -> str:
    if not is_text(value):
        raise ValueError(f"found {value!r:.80}, allowed: {TEXT}")
    return value


def _label(value: str) -> str:
    if value.startswith("_"):
        raise ValueError(
            f"found {value!r:.80}, allowed: no underscore at the beginning"
        )
    if len(value) > MAX_LABEL:
        raise ValueError(
            f"found {len(value)} characters, {value!r:.40}, allowed: at most {MAX_LABEL}"
        )
    return _text(value)


Text = Annotated[str, AfterValidator(_text)]
"""What is shown to readers."""

Label = Annotated[str, AfterValidator(_label)]
"""What a row or a line of a figure is called; matplotlib hides one with an underscore at its
beginning."""

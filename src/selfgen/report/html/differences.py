"""Texts side by side: what of one stands in another, word by word."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence

from markupsafe import Markup, escape

from selfgen.core.text import shown

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")


def words(text: str) -> list[str]:
    """Words, signs and blanks, which are the text when they are joined."""
    return _WORDS.findall(shown(text))


def against(text: str, other: str) -> Markup:
    """A text in which the words that ``other`` does not have at their place are marked."""
    own, theirs = words(text), words(other)
    parts = []
    for tag, start, end, *_ in _blocks(theirs, own):
        if start == end:
            continue
        part = escape("".join(own[start:end]))
        parts.append(part if tag == "equal" else Markup("<ins>{}</ins>").format(part))
    return Markup("").join(parts)


def changed(draft: str, text: str) -> Markup:
    """How a draft became a text: what went and what came, marked."""
    old, new = words(draft), words(text)
    parts = []
    for tag, start, end, first, last in _blocks(old, new):
        gone, come = "".join(old[first:last]), "".join(new[start:end])
        if tag == "equal":
            parts.append(escape(come))
            continue
        if gone:
            parts.append(Markup("<del>{}</del>").format(gone))
        if come:
            parts.append(Markup("<ins>{}</ins>").format(come))
    return Markup("").join(parts)


def stepped(steps: Sequence[str], wrong: Sequence[str]) -> Markup:
    """The steps of an answer, the first wrong one marked and what is wrong after it."""
    marked = next((k for k, what in enumerate(wrong) if what), None)
    parts = []
    for k, step in enumerate(steps):
        if k == marked:
            mark = Markup("<mark>{}</mark> <small>({})</small>")
            parts.append(mark.format(shown(step), wrong[k]))
        else:
            parts.append(escape(shown(step)))
    return Markup(" ").join(parts)


def _blocks(
    old: Sequence[str], new: Sequence[str]
) -> Iterator[tuple[str, int, int, int, int]]:
    """Kind, and places in ``new`` and in ``old``."""
    matcher = difflib.SequenceMatcher(a=old, b=new, autojunk=False)
    for tag, first, last, start, end in matcher.get_opcodes():
        if start < end or first < last:
            yield tag, start, end, first, last

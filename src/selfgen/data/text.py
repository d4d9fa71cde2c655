"""Sentences and words of English texts."""

from __future__ import annotations

import re

_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|St|Jr|Sr|vs|etc|Inc|Ltd|Co|No|Gen|Sen|Rep|Gov|Lt|Col|Prof"
    r"|Sgt|Capt|Rev|ca|approx|c|fl|lit|b|d|r)"
    r"|\b[A-Z]|(?:[A-Za-z]\.)+[A-Za-z]|e\.g|i\.e)\.$"
)
_SENTENCE_END = re.compile(r"[.!?][\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9])")


def squeeze(text: str) -> str:
    """The text on one line, with single spaces."""
    return re.sub(r"\s+", " ", text).strip()


def sentences(text: str) -> list[str]:
    """The sentences of an English text; common abbreviations do not end one."""
    found, start = [], 0
    for end in _SENTENCE_END.finditer(text):
        stop_at = end.start() + 1
        if end.group()[0] == "." and _ABBREVIATION.search(text[start:stop_at]):
            continue
        found.append(text[start : end.end()].strip())
        start = end.end()
    tail = text[start:].strip()
    return [*found, tail] if tail else found


def lead(pieces: list[str], max_words: int, enough: int | None = None) -> str:
    """The first sentences that fit ``max_words`` words together, until they have ``enough``
    (if given); "" when none does."""
    kept, words = [], 0
    for piece in pieces:
        words += len(piece.split())
        if words > max_words:
            break
        kept.append(piece)
        if enough and words >= enough:
            break
    return " ".join(kept)


def too_long(text: str, max_words: int | None) -> bool:
    """Does the text have more than ``max_words`` words? No limit when None."""
    return max_words is not None and len(text.split()) > max_words

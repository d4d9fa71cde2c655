"""TL;DR and UltraChat, in the columns in which their data sets on the hub have them.

* TL;DR (Völske et al. 2017, filtered by Stiennon et al. 2020; CC BY 4.0):
  ``subreddit``, ``title``, ``post``, ``summary``, as in
  vwxyzjn/summarize_from_feedback_tldr_3_filtered_oai_preprocessing_1706381144
* UltraChat (Ding et al. 2023, as HuggingFaceH4/ultrachat_200k filtered it; MIT):
  ``messages``; a record is the first question and its answer

An id is the place in the split: nobody says that the ids of the sets stand once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfgen.core.errors import UserError
from selfgen.data import tables
from selfgen.data.problems import read_texts, with_validation
from selfgen.data.spec import RecordsSpec
from selfgen.data.text import record

TLDR = ("tldr-train", "tldr-validation", "tldr-test")
ULTRACHAT = ("ultrachat-train", "ultrachat-test")
"""Names of the files that each is read from."""

POST = "SUBREDDIT: r/{subreddit}\n\nTITLE: {title}\n\nPOST: {post}"
"""A post as OpenAI's and the clean-up's code show it (query_format_str of
vwxyzjn/summarize_from_feedback_details, tldr_dataset.py); ``TL;DR:`` is of the template."""


def load_tldr(sources: dict[str, Path], spec: RecordsSpec) -> Iterator[dict[str, Any]]:
    """The records of TL;DR. The space before a summary is of the prompt's spec
    (``answer_prefix``), not of the reference."""
    for name in TLDR:
        split = name.removeprefix("tldr-")
        keys = ("subreddit", "title", "post", "summary")
        for number, row in enumerate(read_texts(sources[name], keys)):
            yield record(
                spec.task,
                f"{name}-{number}",
                POST.format(**row),
                row["summary"].strip(),
                split=split,
                source="openai/summarize_from_feedback",
                licence="CC BY 4.0",
                kind=row["subreddit"],
            )


def load_ultrachat(
    sources: dict[str, Path], spec: RecordsSpec
) -> Iterator[dict[str, Any]]:
    """The first question and answer of each dialogue of UltraChat."""
    found = []
    for name in ULTRACHAT:
        for number, (where, row) in enumerate(tables.read(sources[name])):
            first = (row.get("messages") or [])[:2]
            texts = [turn.get("content") for turn in first if isinstance(turn, dict)]
            if len(texts) != 2 or not all(isinstance(text, str) for text in texts):
                raise UserError(
                    f"{where}: needed are messages with a question and answer"
                )
            found.append(
                record(
                    spec.task,
                    f"{name}-{number}",
                    *texts,
                    split=name.removeprefix("ultrachat-"),
                    source="HuggingFaceH4/ultrachat_200k",
                    licence="MIT",
                )
            )
    return with_validation(found, spec)

"""TL;DR (Völske et al. 2017, filtered by Stiennon et al. 2020; CC BY 4.0).

``subreddit``, ``title``, ``post``, ``summary``, as in
vwxyzjn/summarize_from_feedback_tldr_3_filtered_oai_preprocessing_1706381144, which the
configuration names in ``files``. An id is the place in the split: ids of the source may
not be unique.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfgen.data import tables
from selfgen.data.dataset import DataSet, RecordsSpec, record

SPLITS = ("train", "validation", "test")

POST = "SUBREDDIT: r/{subreddit}\n\nTITLE: {title}\n\nPOST: {post}"
"""A post as OpenAI's and the clean-up's code show it (query_format_str of
vwxyzjn/summarize_from_feedback_details, tldr_dataset.py); ``TL;DR:`` is of the template."""


def load(sources: dict[str, Path], spec: RecordsSpec) -> Iterator[dict[str, Any]]:
    """The records of TL;DR. The space before a summary is of the prompt's spec
    (``answer_prefix``), not of the reference."""
    for split in SPLITS:
        name = f"tldr-{split}"
        keys = ("subreddit", "title", "post", "summary")
        for number, row in enumerate(tables.read_texts(sources[name], keys)):
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


DATASET = DataSet(
    load,
    dict.fromkeys(f"tldr-{split}" for split in SPLITS),
    # The wording of summarize_from_feedback_details, not ours.
    template="{prompt}\n\nTL;DR:",
    answer_prefix=" ",
    cut_after="POST: ",
    lengths=(None, 30),  # Pythia's; summarize_from_feedback_details, its plots
    published=True,
)

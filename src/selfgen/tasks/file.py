"""Rows of the user's own files, as the configuration says what they are made of.

``tasks.NAME.files`` names the files of each split, or files that are split here: by the hash
of what is asked, so that no prompt stands in two splits, and a row stays in its own when
others are added.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from pathlib import Path
from typing import Any

from selfgen.core.errors import UserError
from selfgen.data.dataset import DataSet, RecordsSpec, record, split_of
from selfgen.data.own_rows import Faults, read

ALL = "all"
"""Files that are split here, among those of splits."""


def load(
    sources: dict[str, Path], spec: RecordsSpec
) -> Generator[dict[str, Any], None, dict[str, Any]]:
    """The records of the files; ``sources`` are called ``SPLIT.NUMBER``.

    Raises UserError: rows that are no records, unless they are skipped; those are counted in
    the facts that are returned.
    """
    if (own := spec.own_rows) is None:
        raise UserError(
            f"task {spec.task}: found no columns, allowed: RecordsSpec.own_rows"
        )
    faults = Faults()
    splits = [name.partition(".")[0] for name in sources]
    validates = "validation" in splits
    short = 0
    # Of all files together, so that a row is found that stands in two.
    for place, row in read(sources.values(), own.columns, faults):
        split = splits[place]
        if split == ALL:
            split = split_of(row.asked())
        elif split == "train" and not validates:
            held_out = split_of(row.asked()) == "validation"
            split = "validation" if held_out else "train"
        if not spec.fits(row.prompt, row.reference):
            short += 1
            continue
        yield record(
            spec.task,
            row.id,
            row.prompt,
            row.reference,
            split=split,
            source=own.source,
            licence=own.licence,
            history=row.history,
        )
    if faults.counts and not own.skip:
        raise UserError(
            f"task {spec.task}: {sum(faults.counts.values())} rows are no records:"
            f" {faults.told()}; mend them, or leave them out by"
            f" tasks.{spec.task}.bad_rows: skip"
        )
    for said in faults.first.values():
        logging.warning("left out: %s", said)
    return {"left_out": dict(faults.counts), "too_long": short}


DATASET = DataSet(load, {})

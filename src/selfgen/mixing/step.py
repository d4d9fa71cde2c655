"""Training rows as a step of the workflow: mixed from records and a pass, or packed from
whole dialogues, in training order."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.core.errors import UserError
from selfgen.core.rows import read_rows, write_rows
from selfgen.data import dialogues, preferences
from selfgen.data.examples import examples_of
from selfgen.data.prompts import load_tokenizer
from selfgen.data.records import read
from selfgen.mixing import blocks
from selfgen.mixing.blocks import BlocksSpec
from selfgen.mixing.build import load_function, stream, training_records
from selfgen.mixing.order import tokens_in_time
from selfgen.mixing.spec import RowsSpec

if TYPE_CHECKING:
    from selfgen.runtime.job import Job


def step(spec: RowsSpec | BlocksSpec, job: Job) -> dict[str, Any]:
    """The training rows of a checkpoint."""
    if isinstance(spec, BlocksSpec):
        return _pack(spec, job)
    tokenizer = load_tokenizer(job.input("tokenizer"))
    if pairs := job.paths("pairs"):
        records = preferences.read(pairs[0], spec.rows[1])
        passes = [
            {"id": record["id"], "epoch": epoch, "text": record["rejected"]}
            for record in records
            for epoch in range(spec.epochs)
        ]
    else:
        records = read(job.input("records"), ["train"])
        passes = read_rows(*job.paths("passed"))
    chosen = training_records(records, spec.rows)
    rows = stream(
        examples_of(chosen, spec.prompt, tokenizer),
        passes,
        spec,
        tokenizer,
        tokens=tokens_of(job.paths("time_of")) if spec.wall else None,
        grades=_grades(records, passes, spec, job.root) if spec.metric else None,
        function=load_function(f"{job.root / spec.function}")
        if spec.function
        else None,
    )
    facts: Counter[str] = Counter()
    write_rows(job.output("rows"), _counted(rows, facts))
    return dict(facts)


def _pack(spec: BlocksSpec, job: Job) -> dict[str, Any]:
    """Blocks are written as they are made: there may be too many to hold."""
    tokenizer = load_tokenizer(job.input("tokenizer"))
    found = dialogues.read(job.input("dialogues"), spec.rows, tokenizer)
    facts = Counter({"dialogue_tokens": sum(map(len, found.values()))})
    rows = blocks.build(found, spec, tokenizer.eos_token_id)
    write_rows(job.output("rows"), _counted(rows, facts))
    return dict(facts)


def _counted(
    rows: Iterable[dict[str, Any]], facts: Counter[str]
) -> Iterator[dict[str, Any]]:
    """The rows as they are; ``facts`` receives how many there are, of how many steps."""
    last = None
    for row in rows:
        facts["rows"] += 1
        facts["steps"] += row["step"] != last
        last = row["step"]
        yield row


def tokens_of(manifests: list[Path]) -> float:
    """The tokens that a method's pass and training would have trained on together, at the
    speed of its training."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in manifests]
    passes = sum(m.get("generation_seconds", 0.0) for m in found)
    trained = [m for m in found if "generation_seconds" not in m]
    seconds = sum(m["seconds"] for m in trained)
    if not seconds:
        raise UserError("time_of: found no manifest of a training")
    tokens = sum(m["forwarded_tokens"] for m in trained)
    return tokens_in_time(tokens, seconds, passes)


def _grades(
    records: list[dict[str, Any]],
    passes: list[dict[str, Any]],
    spec: RowsSpec,
    root: Path,
) -> dict[tuple[str, int], float]:
    from selfgen.evaluation.metrics import metric

    found = metric(spec.metric, root)
    by_id = {record["id"]: record for record in records}
    return {
        (row["id"], row["epoch"]): found.score(row["text"], by_id[row["id"]])[
            spec.column
        ]
        for row in passes
    }

"""Training rows as a step of the workflow: mixed from records and a pass, in training
order. Those of whole dialogues are ``mixing.pack``'s."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen import methods
from selfgen.core import manifests
from selfgen.core.errors import UserError
from selfgen.core.rows import read_rows, write_rows
from selfgen.data.prompts import load_tokenizer
from selfgen.data.records import read
from selfgen.mixing.build import joined, slicer
from selfgen.mixing.counts import counted
from selfgen.mixing.order import tokens_in_time

if TYPE_CHECKING:
    from selfgen.runtime.job import Job


def step(spec: methods.Rows, job: Job) -> dict[str, Any]:
    """The training rows of a checkpoint."""
    tokenizer = load_tokenizer(job.input("tokenizer"))
    records, passes = spec.method.read(spec, job) or (
        read(job.input("records"), ["train"]),
        read_rows(*job.paths("passed")),
    )
    timed = job.paths("time_of")
    facts: Counter[str] = Counter()
    rows = joined(
        slicer(records, spec, tokenizer),
        passes,
        spec,
        tokenizer,
        tokens=tokens_of(timed) if timed else None,
        facts=facts,
        **spec.method.more(records, passes, job.root),
    )
    write_rows(job.output("rows"), counted(rows, facts))
    return dict(facts)


def tokens_of(paths: list[Path]) -> float:
    """The tokens that a method's pass and training would have trained on together, at the
    speed of its training."""
    facts = [manifests.read(path) for path in paths]
    passes = sum(m.get("generation_seconds", 0.0) for m in facts)
    trained = [m for m in facts if "labelled_tokens" in m]
    seconds = sum(m["seconds"] for m in trained)
    if not seconds:
        raise UserError("time_of: found no manifest of a training")
    tokens = sum(m["forwarded_tokens"] for m in trained)
    return tokens_in_time(tokens, seconds, passes)

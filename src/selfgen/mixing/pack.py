"""Whole dialogues as training rows: a step of the workflow, in the place of ``mix_rows``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from selfgen.core.rows import write_rows
from selfgen.data import dialogues
from selfgen.data.prompts import load_tokenizer
from selfgen.data.turns import turns
from selfgen.mixing import blocks
from selfgen.mixing.blocks import BlocksSpec
from selfgen.mixing.counts import counted

if TYPE_CHECKING:
    from selfgen.runtime.job import Job


def step(spec: BlocksSpec, job: Job) -> dict[str, Any]:
    """Blocks are written as they are made: there may be too many to hold."""
    tokenizer = load_tokenizer(job.input("tokenizer"))
    read = dialogues.read(job.input("dialogues"), spec.rows, tokenizer)
    facts = Counter({"dialogue_tokens": sum(map(len, read.values()))})
    rows = blocks.build(read, spec, turns(tokenizer).eos)
    write_rows(job.output("rows"), counted(rows, facts))
    return dict(facts)

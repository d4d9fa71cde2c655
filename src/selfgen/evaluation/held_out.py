"""The loss of a model on held-out dialogues, packed as those that it was trained on.

As the Trainer of transformers reports it (``eval_loss``): the mean over blocks of the mean
over the tokens of each. Blocks are of one length, so it is the mean over all tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.core.memory import peak_memory_mb
from selfgen.core.rows import write_rows
from selfgen.data import dialogues
from selfgen.data.prompts import load_tokenizer
from selfgen.data.turns import turns
from selfgen.evaluation.exposure import forced_choices
from selfgen.evaluation.held_out_spec import LossSpec
from selfgen.generation.forced import Reference
from selfgen.mixing.blocks import pack
from selfgen.models.loading import load_for_generation

if TYPE_CHECKING:
    from selfgen.runtime.job import Job

AT_ONCE = 64
"""Number of blocks between two reports of progress."""


def run(
    path: Path,
    weights: Path,
    spec: LossSpec,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows ``{id, loss, tokens}``, one a block, and facts. ``loss``: the mean in nats over
    the ``tokens`` that are asked for, all but the first.

    Raises UserError: as ``dialogues.read`` and ``pack``.
    """
    tokenizer = load_tokenizer(weights)
    read = dialogues.read(path, spec.rows, tokenizer)
    packed = [*pack(read.values(), turns(tokenizer).eos, spec.block_tokens)]
    model, device, precision = load_for_generation(weights, spec.device)
    blocks = [
        Reference(f"block-{number}", 0, block[:1], block[1:])
        for number, block in enumerate(packed)
    ]
    rows: list[dict[str, Any]] = []
    for start in range(0, len(blocks), AT_ONCE):
        part = blocks[start : start + AT_ONCE]
        for block, reading in zip(part, forced_choices(model, part), strict=True):
            n = len(block.answer_ids)
            rows.append({"id": block.id, "loss": reading.nll / n, "tokens": n})
        if progress:
            progress(len(rows), len(blocks))
    return rows, {"device": device, "precision": precision}


def step(spec: LossSpec, job: Job) -> dict[str, Any]:
    """The loss of a model on held-out dialogues."""
    job.claim(spec.device.device)
    rows, facts = run(
        job.input("dialogues"), job.input("weights"), spec, job.progress("blocks")
    )
    write_rows(job.output("losses"), rows)
    return facts | {"peak_memory_mb": peak_memory_mb()}

"""Fine-tuning as a step of the workflow: in one process or several, resumed from scratch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from selfgen.core import own_code
from selfgen.core.memory import peak_memory_mb
from selfgen.core.provenance import atomic
from selfgen.data.prompts import load_tokenizer
from selfgen.generation import ends
from selfgen.models import loading
from selfgen.training.causal import train
from selfgen.training.spec import Own, TrainSpec
from selfgen.training.trackers import Trackers

if TYPE_CHECKING:
    from selfgen.runtime.job import Job


def step(spec: TrainSpec, job: Job) -> dict[str, Any] | None:
    """The weights of a checkpoint and its training curve; None where another process has
    them, which writes the manifest as well."""
    scratch = job.state(spec)
    if not job.begins(scratch, spec.device.device):
        return None
    tokenizer = load_tokenizer(job.input("weights"))
    model = loading.load(job.input("weights"))
    banned, stops = ends.banned(model, tokenizer), ends.stops(model, tokenizer)
    address = spec.loss.loss_function if isinstance(spec.loss, Own) else None
    own = own_code.function(address, "loss_function", job.root) if address else None
    model, outcome = train(
        model,
        job.input("rows"),
        spec,
        scratch=scratch,
        checkpoint_minutes=job.checkpoint_minutes,
        micro_batch_tokens=job.micro_batch_tokens,
        compile=job.compile,
        banned=banned,
        stops=stops,
        loss_function=own,
        trackers=Trackers(tuple(filter(None, job.report_to.split(","))), job.name),
        progress=job.progress("step", resumes=True) if job.is_first() else None,
    )
    if not job.is_first():
        return None
    with atomic(job.output("weights")) as folder:
        loading.save(model, tokenizer, folder)
    job.write({"curve": "".join(json.dumps(point) + "\n" for point in outcome.curve)})
    job.forgets(scratch)
    return outcome.facts | {"peak_memory_mb": peak_memory_mb()}

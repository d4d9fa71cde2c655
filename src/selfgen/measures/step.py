"""The instrument as a step of the workflow: what is read of a checkpoint, a row a prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from selfgen.core.memory import peak_memory_mb
from selfgen.core.rows import write_rows
from selfgen.data.examples import examples_of
from selfgen.data.prompts import load_tokenizer
from selfgen.data.records import read
from selfgen.evaluation.exposure import shared_tokens
from selfgen.generation import engines
from selfgen.measures import checks
from selfgen.measures.degeneration import beside_others
from selfgen.measures.reading import Instrument, chosen, read_prompts
from selfgen.measures.spec import MeasureStep
from selfgen.models.loading import load_for_generation
from selfgen.tasks import DATASETS

if TYPE_CHECKING:
    from selfgen.runtime.job import Job


def step(spec: MeasureStep, job: Job) -> dict[str, Any]:
    """The rows of ``reading.read_prompts`` of some held-out records, and in the manifest what
    was looked at first. Training rows are not: those of a run are of one make with these."""
    job.claim(spec.device.device)
    weights = job.input("weights")
    tokenizer = load_tokenizer(weights)
    model, device, precision = load_for_generation(
        weights, spec.device, engines.try_out
    )
    oracle, tokens = None, list[int]()
    if spec.oracle:
        folder = job.input("oracle")
        oracle, *_ = load_for_generation(folder, spec.device)
        tokens = shared_tokens(tokenizer, load_tokenizer(folder))
    records = chosen(read(job.input("records"), [spec.split]), spec.prompts)
    examples = examples_of(records, spec.measure.prompt, tokenizer)
    own = Instrument(
        model,
        tokenizer,
        spec.measure,
        examples,
        oracle,
        tokens,
        DATASETS[spec.measure.dataset].checker,
        job.batch_size,
    )
    rows = beside_others(read_prompts(own, examples, records))
    by_id = {row["id"]: row for row in rows}
    looked_at = checks.check(model, tokenizer, examples, by_id, shared=tokens)
    write_rows(job.output("read"), rows)
    return {
        "device": device,
        "precision": precision,
        "peak_memory_mb": peak_memory_mb(),
        "checks": [vars(check) for check in looked_at],
    }

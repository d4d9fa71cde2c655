"""Answers to held-out prompts, and what every free-running pass has in common."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.core.errors import UserError, naming
from selfgen.core.memory import peak_memory_mb
from selfgen.core.names import draft_of
from selfgen.core.rows import read_rows, write_rows
from selfgen.core.spec import Device, instance
from selfgen.data.prompts import correction_ids, load_tokenizer, prompt_ids
from selfgen.data.records import checked_records, history_of, read
from selfgen.generation import engines, free, vllm_backend
from selfgen.generation.decoding import Prompt
from selfgen.generation.spec import AnswersSpec, PassSpec
from selfgen.models.loading import load_for_generation

if TYPE_CHECKING:
    from selfgen.runtime.job import Job

Rows = list[dict[str, Any]]
Progress = Callable[[int, int], None] | None


@dataclass
class Generated:
    """Rows as they are made, so that no pass is held in memory as a whole; ``facts`` of
    the run are complete when the last row is out."""

    rows: Iterator[dict[str, Any]]
    facts: dict[str, Any]


def run_answers(
    records: Iterable[dict[str, Any]],
    drafts: Iterable[dict[str, Any]],
    weights: Path | str,
    spec: AnswersSpec,
    *,
    gpus: int = 1,
    **options: Any,
) -> Generated:
    """Answers ``{id, epoch, text, tokens, ended}`` to held-out records.

    ``drafts``: the answers that ``spec.decoding`` is shown (``core.names.draft_of``).
    ``gpus``: that vLLM spreads the model over; ``options`` as in ``run_free``.
    """
    instance("spec", spec, AnswersSpec)
    records = checked_records(records, ("id", "prompt"))
    drafts = checked_records(drafts, ("id", "text"))
    tokenizer = load_tokenizer(weights)
    corrects = draft_of(spec.decoding) is not None
    if corrects:
        texts = {draft["id"]: draft["text"] for draft in drafts}
        missing = [r["id"] for r in records if r["id"] not in texts]
        if missing:
            raise UserError(f"drafts: missing for {len(missing)} ids: {missing[:3]}")
    asked = []
    for record in records:
        name, prompt, history = record["id"], record["prompt"], history_of(record)
        with naming(f"record {name}"):
            ids = (
                correction_ids(tokenizer, spec.prompt, prompt, texts[name], history)
                if corrects
                else prompt_ids(tokenizer, spec.prompt, prompt, history)
            )
        asked.append(Prompt(name, 0, ids))
    model, facts = load(weights, spec.device, spec.backend, gpus)
    return run_free(model, tokenizer, asked, spec, facts, **options)


def run_free(
    model: Any,
    tokenizer: Any,
    prompts: list[Prompt],
    spec: PassSpec | AnswersSpec,
    facts: dict[str, Any],
    **options: Any,
) -> Generated:
    """Answers or drafts to ``prompts``; ``options`` as in ``free.complete``: batch_size,
    shard, shards, engine and progress."""
    facts |= {
        "template": _digest([tokenizer.chat_template]),
        "prompts": _digest(list(prompt.prompt_ids) for prompt in prompts),
    }
    made = free.run(
        model,
        tokenizer,
        prompts,
        spec.sampling,
        seed=spec.seed,
        max_new_tokens=spec.prompt.max_answer_tokens,
        facts=facts,
        **options,
    )
    rows = counted(made, facts, generated_tokens=lambda row: row["tokens"])
    return Generated(rows, facts)


def load(
    weights: Path | str, where: Device, backend: str = "", gpus: int = 1
) -> tuple[Any, dict[str, Any]]:
    """A model for ``free.complete``, and where it runs, for the manifest."""
    if backend == "vllm":
        served = vllm_backend.load(Path(weights), where, gpus)
        return served, {"device": served.device, "precision": served.precision}
    model, device, precision = load_for_generation(weights, where, engines.try_out)
    return model, {"device": device, "precision": precision}


def _digest(parts: Iterable[Any]) -> str:
    """Digest of what every backend is given: the chat template or the ids of all prompts."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(json.dumps(part).encode() + b"\n")
    return digest.hexdigest()[:16]


def counted(
    rows: Iterator[dict[str, Any]],
    facts: dict[str, Any],
    **counts: Callable[[dict[str, Any]], int],
) -> Iterator[dict[str, Any]]:
    """The rows as they are made; ``facts`` receives the sum of each of ``counts``, and what
    else is known when the last row is written."""
    started, sums = time.perf_counter(), dict.fromkeys(counts, 0)
    for row in rows:
        for name, count in counts.items():
            sums[name] += count(row)
        yield row
    facts |= {
        **sums,
        # vLLM computes in processes of its own, and takes a fixed share of a GPU.
        "peak_memory_mb": None if "vllm" in facts else peak_memory_mb(),
        "generation_seconds": round(time.perf_counter() - started, 2),
    }


def step(spec: AnswersSpec, job: Job) -> dict[str, Any]:
    """Answers to the held-out records of a task."""
    job.claim(spec.device.device)
    made = run_answers(
        read(job.input("records"), spec.splits),
        read_rows(*job.paths("drafts")),
        job.input("weights"),
        spec,
        gpus=max(1, job.gpus),
        **job.decoding(),
        progress=job.progress("prompts"),
    )
    write_rows(job.output("answers"), made.rows)
    return made.facts

"""Fine-tuning as a step of the workflow: in one process or several, resumed from scratch."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.core.provenance import atomic
from selfgen.core.spec import to_json
from selfgen.data.prompts import load_tokenizer
from selfgen.generation import ends
from selfgen.models import loading
from selfgen.runtime import launching, locks
from selfgen.runtime.process import peak_memory_mb
from selfgen.training.causal import train
from selfgen.training.spec import TrainSpec

if TYPE_CHECKING:
    from selfgen.runtime.job import Job

log = logging.getLogger("selfgen")


def step(spec: TrainSpec, job: Job) -> dict[str, Any] | None:
    """The weights of a checkpoint and its training curve; None where another process has
    them, which writes the manifest as well."""
    scratch = job.scratch and job.scratch / _address(spec, job)
    if "LOCAL_RANK" not in os.environ:
        if job.gpus > 1 or job.nodes > 1 or job.launch:
            _launch(spec, job, scratch)
        if _is_done(job, scratch):
            return None
    job.claim(spec.device.device)
    first = os.environ.get("RANK", "0") == "0"
    tokenizer = load_tokenizer(job.input("weights"))
    model = loading.load(job.input("weights"))
    banned = ends.banned(model, tokenizer)
    model, outcome = train(
        model,
        job.input("rows"),
        spec,
        scratch=scratch,
        checkpoint_minutes=job.checkpoint_minutes,
        micro_batch_tokens=job.micro_batch_tokens,
        compile=job.compile,
        banned=banned,
        progress=job.progress("step", resumes=True) if first else None,
    )
    if not first:
        return None
    with atomic(job.output("weights")) as folder:
        loading.save(model, tokenizer, folder)
    job.write({"curve": "".join(json.dumps(point) + "\n" for point in outcome.curve)})
    if scratch:
        job.after.append(partial(_forget, scratch))
    facts = {key: value for key, value in vars(outcome).items() if key != "curve"}
    return facts | {"peak_memory_mb": peak_memory_mb()}


def _forget(scratch: Path) -> None:
    """Remove the state, which nobody needs any more."""
    shutil.rmtree(scratch, ignore_errors=True)
    locks.drop(scratch)


def _is_done(job: Job, scratch: Path | None) -> bool:
    """Lock the folder of the state. Another job that had it, of a run that was killed, may
    have done the work meanwhile."""
    done = (
        scratch is not None and locks.hold(scratch) and job.output("manifest").is_file()
    )
    if done:
        log.info("done by another job")
    return done


def _launch(spec: TrainSpec, job: Job, scratch: Path | None) -> None:
    """Become the launcher, which starts this step in every process, or what starts one on
    every machine; folder and devices are locked before."""
    processes = max(job.nodes, job.gpus)
    config = job.root / job.launch if job.launch else None
    command = launching.command(
        sys.argv[1:], os.environ, processes=processes, nodes=job.nodes, config=config
    )
    if command[0] == sys.executable:
        # Of several machines, the first one's launcher has the folder.
        if os.environ.get("SLURM_PROCID", "0") == "0" and _is_done(job, scratch):
            sys.exit()
        os.environ[launching.STATE] = scratch.name if scratch else ""
    if spec.device.device in ("auto", "cuda"):
        locks.take(processes)
    here = processes // job.nodes
    os.environ["OMP_NUM_THREADS"] = str(max(1, job.threads // here))
    os.execvp(command[0], command)  # noqa: S606


def _address(spec: TrainSpec, job: Job) -> str:
    """Scratch state belongs to one spec, one code and one set of inputs."""
    if os.environ.get(launching.STATE):
        return os.environ[launching.STATE]
    parts = [to_json(spec), job.code, *job.hashes.values()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

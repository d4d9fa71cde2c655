"""The least time that the arithmetic of a finished run takes: its operations over the rate of
the model's matrix products alone, measured on the machine that made it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from selfgen.bench.harness import Timing, table
from selfgen.bench.parts import alone
from selfgen.bench.training import sizes
from selfgen.core.errors import UserError

ROWS = 1024
"""Of a product, as many as fill the machine."""

WHOLE, REST = "the whole run", "all else, and idle cores"

Manifests = Sequence[Mapping[str, Any]]


def run(
    model: Any, manifests: Manifests, cpus: int, seconds: float, precision: str
) -> list[Timing]:
    """A timing of each kind of job that ran the model, the most operations first: its
    seconds on all cores, and in the notes its ``jobs``, ``flops``, and the ``least`` seconds.
    Last those of the whole run, whose seconds are those of the clock.

    ``manifests`` of all jobs of a run on a machine of ``cpus``, which took ``seconds``.
    Raises UserError: none ran a model, or one did in another precision or in a way whose
    operations are not counted here.
    """
    computed = [m for m in manifests if "forwarded_tokens" in m]
    if not computed:
        raise UserError("--results: found no finished job that ran a model")
    _check(computed, precision)
    body, head = sizes(model)
    rate = product_rate(model, precision)
    kinds: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for manifest in computed:
        kinds[manifest["rule"]].append(manifest)
    timings = []
    for rule, jobs in kinds.items():
        flops = sum(operations(job, body, head) for job in jobs)
        tokens = sum(job["forwarded_tokens"] for job in jobs)
        busy = sum(job["wall_seconds"] * job["run"]["threads"] for job in jobs)
        timings.append(_timing(rule, tokens, busy / cpus, jobs, flops, rate))
    timings.sort(key=lambda timing: -timing.notes["flops"])
    flops = sum(timing.notes["flops"] for timing in timings)
    tokens = sum(timing.tokens for timing in timings)
    return [*timings, _timing(WHOLE, tokens, seconds, manifests, flops, rate)]


def _timing(
    name: str, tokens: int, seconds: float, jobs: Manifests, flops: float, rate: float
) -> Timing:
    notes = {"jobs": len(jobs), "flops": flops, "least": flops / rate}
    return Timing(name, {}, tokens, [seconds], notes=notes)


def _check(jobs: Manifests, precision: str) -> None:
    for job in jobs:
        if job["device"] != "cpu" or job["precision"] != precision:
            raise UserError(
                f"--results: found a job on {job['device']} in {job['precision']}, allowed:"
                f" jobs on cpu, in the same precision as here (--precision), {precision}"
            )
        if not isinstance(job["run"], Mapping):
            raise UserError(
                "--results: found answers made in shards, allowed: a run without"
            )
        if "labelled_tokens" not in job:
            continue
        if (
            job.get("seconds", 0.0) + job.get("generation_seconds", 0.0)
            > job["wall_seconds"]
        ):
            raise UserError(
                "--results: found a training that was stopped and resumed, whose earlier time"
                " on the clock is not known, allowed: a run that went through"
            )
        training = job["spec"]
        online = "generation_forwarded_tokens" in job
        if training["optimization"]["lora"] or (training["loss"] and not online):
            raise UserError(
                "--results: found a training with LoRA or a loss that reads rows twice or is"
                " your own, allowed: of all weights, on labels"
            )


def operations(job: Mapping[str, Any], body: int, head: int) -> float:
    """Floating-point operations of a job: two a weight and token forward, four backward.
    Scores of attention and recomputation do not count; nor the head where rows are drawn
    while training."""
    if "labelled_tokens" in job:
        drawn = 2.0 * body * job.get("generation_forwarded_tokens", 0)
        trained = body * job["forwarded_tokens"] + head * job["labelled_tokens"]
        return 6.0 * trained + drawn
    return 2.0 * (body * job["forwarded_tokens"] + head * job["projected_tokens"])


def product_rate(model: Any, precision: str) -> float:
    """Operations a second of the products of all weights with ``ROWS`` rows, alone."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    shapes = [p.shape for p in model.parameters() if p.ndim == 2]
    times = {
        shape: alone((ROWS, shape[1], shape[0]), dtype, model.device)
        for shape in set(shapes)
    }
    flops = sum(2.0 * ROWS * shape.numel() for shape in shapes)
    return flops / sum(times[shape] for shape in shapes)


def page(timings: Sequence[Timing]) -> str:
    """A line a kind of job, in minutes on all cores."""
    header = [
        "",
        "jobs",
        "thousand tokens",
        "PFLOP",
        "least, min",
        "took, min",
        "share",
    ]
    rest = 2 * timings[-1].median - sum(timing.median for timing in timings)
    lines = []
    for timing in timings:
        least = timing.notes["least"]
        if timing.name == WHOLE:
            lines.append([REST, *4 * [""], f"{rest / 60:.1f}", ""])
        lines.append(
            [
                timing.name,
                timing.notes["jobs"],
                f"{timing.tokens / 1e3:.0f}",
                f"{timing.notes['flops'] / 1e15:.3f}",
                f"{least / 60:.1f}",
                f"{timing.median / 60:.1f}",
                f"{least / timing.median:.0%}",
            ]
        )
    return table(header, lines)

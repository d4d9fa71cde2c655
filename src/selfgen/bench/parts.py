"""Where the time of a training step goes, and how near its matrix products come to the same
products alone."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch.autograd.profiler_util import FunctionEventAvg
from torch.profiler import DeviceType, ProfilerActivity, profile, schedule

from selfgen.bench.harness import Timing, table
from selfgen.bench.training import Case
from selfgen.models import loading
from selfgen.runtime import process
from selfgen.training import causal
from selfgen.training.update import DATA

PRODUCTS = ("head", "MLP", "projections of attention")
"""Parts that are matrix products, by their shapes; scores of attention are a part of their
own, whatever computes them."""

KINDS = {
    "scores of attention": ("attention", "bmm", "baddbmm"),
    "loss": ("log_softmax", "nll_loss", "cross_entropy", "logsumexp"),
    "optimiser": ("adam", "foreach", "clip_grad"),
    "casts and copies": ("copy_",),
    "new memory": ("fill_", "zero_"),
    "data": (DATA,),
}
"""Other parts, by what the names of their operations hold."""

REST = "the rest"
RUNS = 5
"""Of a product alone; the fastest counts."""

Shape = tuple[int, int, int]
"""Of a product: rows, inner, columns."""


def run(case: Case) -> list[Timing]:
    """Profile training on ``case.rows`` in this process, from the second step on: in the
    first all memory is new. Notes of a part: ``flops`` of its products, and the seconds that
    these take ``alone``."""
    process.keep_freed_memory()
    device = torch.device(case.where.device)
    cuda = [ProfilerActivity.CUDA] if device.type == "cuda" else []
    model = loading.load(case.weights)
    steps = case.rows[-1]["step"]

    def after(done: int) -> bool:
        seen.step()
        return False

    with profile(
        activities=[ProfilerActivity.CPU, *cuda],
        schedule=schedule(wait=0, warmup=1, active=steps, repeat=1),
        record_shapes=True,
    ) as seen:
        causal.train(model, case.rows, case.spec, after_step=after)
    found: dict[str, float] = defaultdict(float)
    products: dict[str, dict[Shape, int]] = defaultdict(lambda: defaultdict(int))
    weights = _weights(model)
    for event in seen.key_averages(group_by_input_shape=True):
        if cuda and event.device_type != DeviceType.CPU:
            continue  # a kernel, whose time the operation that started it has as well
        spent = event.self_device_time_total if cuda else event.self_cpu_time_total
        shape = _product(event)
        part = _of_product(shape, weights) if shape else _of_name(event.key)
        found[part] += spent / 1e6
        if shape:
            products[part][shape] += event.count
    dtype = torch.bfloat16 if case.where.precision == "bf16" else torch.float32
    rows = [row for row in case.rows if row["step"]]
    tokens = sum(len(row["input_ids"]) for row in rows)
    shown = {"steps": steps, "rows": len(rows)}
    timings = []
    for part in (*PRODUCTS, *KINDS, REST):
        own = products[part].items()
        notes = {
            "flops": sum(2.0 * n * a * b * c for (a, b, c), n in own),
            "alone": sum(n * alone(shape, dtype, device) for shape, n in own),
        }
        timings.append(Timing(part, shown, tokens, [found[part]], notes=notes))
    return timings


def alone(shape: Shape, dtype: torch.dtype, device: torch.device) -> float:
    """Seconds of one product of a shape."""
    rows, inner, columns = shape
    left = torch.ones((rows, inner), dtype=dtype, device=device)
    right = torch.ones((columns, inner), dtype=dtype, device=device).T
    seconds = []
    for _ in range(RUNS):
        started = time.perf_counter()
        float((left @ right)[0, 0])  # waits for the device
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def page(timings: Sequence[Timing]) -> str:
    """A line a part."""
    whole = sum(timing.median for timing in timings)
    header = ["", "of the time", "TFLOP/s", "of the same products alone"]
    lines = []
    for timing in timings:
        flops, least = timing.notes["flops"], timing.notes["alone"]
        rate = f"{flops / timing.median / 1e12:.3f}" if flops else ""
        share = f"{least / timing.median:.0%}" if flops else ""
        lines.append([timing.name, f"{timing.median / whole:.1%}", rate, share])
    flops, least = (sum(t.notes[key] for t in timings) for key in ("flops", "alone"))
    last = ["all", "100%", f"{flops / whole / 1e12:.3f}", f"{least / whole:.0%}"]
    return table(header, [*lines, last])


def _weights(model: Any) -> dict[tuple[int, int], str]:
    """The part of each matrix, by its shape."""
    head = model.get_output_embeddings().weight
    found = {}
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2:
            part = PRODUCTS[2] if "attn" in name or "attention" in name else PRODUCTS[1]
            found[tuple(parameter.shape)] = part
    return found | {tuple(head.shape): PRODUCTS[0]}


def _product(event: FunctionEventAvg) -> Shape | None:
    """The shape of a product of two matrices, where an operation is one."""
    if event.key not in ("aten::mm", "aten::addmm") or not event.input_shapes:
        return None
    first = event.key == "aten::addmm"  # behind what is added
    (rows, inner), (_, columns) = event.input_shapes[first : first + 2]
    return rows, inner, columns


def _of_product(shape: Shape, weights: dict[tuple[int, int], str]) -> str:
    """Forward, backward to states, and backward to weights."""
    rows, inner, columns = shape
    for pair in ((columns, inner), (inner, columns), (rows, columns)):
        if pair in weights:
            return weights[pair]
    return REST


def _of_name(name: str) -> str:
    for part, words in KINDS.items():
        if any(word in name for word in words):
            return part
    return REST

"""Which engine fills the rows, how many rows it holds, and what if memory runs out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from selfgen import attention
from selfgen.generation.decoding import Filled, Row, Sampler
from selfgen.generation.onepass import OnePass
from selfgen.generation.sequential import Sequential
from selfgen.generation.slots import Slots
from selfgen.generation.windowed import Windowed
from selfgen.models import decoder
from selfgen.specs import UserError

log = logging.getLogger(__name__)

EXACT = ("auto", "sequential", "windowed")
"""Engines of left-to-right decoding: in fp32 they fill in the same tokens."""

CACHED_TOKENS = {"cpu": 2**16, "mps": 2**16, "cuda": 2**18}
"""Tokens of all rows in a batch at most, so that long rows make small batches."""

OVERHEAD = {"cpu": 64.0, "mps": 512.0, "cuda": 2048.0}
"""Fixed cost of a pass in tokens, where too little work is ahead to measure it."""

MEASURED_PASSES = 7
"""Passes that a measurement takes: less than 5 % of the work that it is made for."""

Engine = Sequential | Windowed | OnePass


def fill(engine: Engine, rows: Sequence[Row], batch_size: int) -> Filled:
    """Fill ``rows`` in order, at most ``batch_size`` at a time.

    When the device runs out of memory, the rows that are not finished go on in batches of
    half the size.

    Raises:
        RuntimeError: out of memory with a single row.
    """
    from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

    pending = list(range(len(rows)))
    size = batch_of(rows, batch_size, engine.model.device)
    while pending:
        finished = set()
        try:
            for place, answer in engine([rows[i] for i in pending], size):
                finished.add(place)
                yield pending[place], answer
        except RuntimeError as error:
            if size == 1 or not should_reduce_batch_size(error):
                raise
            size //= 2
            log.warning("out of memory: going on with batches of %d rows", size)
        clear_device_cache(garbage_collection=True)
        pending = [i for place, i in enumerate(pending) if place not in finished]


def in_order(filled: Filled) -> Iterator[tuple[int, list[int]]]:
    """The same, by index: rows that finish early wait for those before them."""
    waiting: dict[int, list[int]] = {}
    wanted = 0
    for index, answer in filled:
        waiting[index] = answer
        while wanted in waiting:
            yield wanted, waiting.pop(wanted)
            wanted += 1


def batch_of(rows: Sequence[Row], batch_size: int, device: Any) -> int:
    """``batch_size`` or as many of the longest rows as ``CACHED_TOKENS`` allows."""
    longest = max(map(len, rows), default=1)
    return max(1, min(batch_size, len(rows), CACHED_TOKENS[device.type] // longest))


def make(
    name: str, model: Any, sampler: Sampler, rows: Sequence[Row], batch_size: int
) -> Engine:
    """The engine ``name`` for ``rows``; ``auto`` takes the faster exact one.

    ``model`` is changed to attend by ``selfgen.attention`` where it can.
    """
    if name not in EXACT:
        raise UserError(f"engine: found {name}, allowed are {', '.join(EXACT)}")
    flat = attention.use(model)
    if name == "sequential" or (name == "auto" and not flat):
        return Sequential(model, sampler)
    if not flat:
        kind = model.config.model_type
        raise UserError(f"engine: windowed cannot run {kind}; allowed is sequential")
    windowed = Windowed(model, sampler, OVERHEAD[model.device.type])
    size = batch_of(rows, batch_size, model.device)
    guesses = any(row.given for row in rows)
    passes = sum(rows[i].limit for i in range(0, len(rows), size))
    if not guesses or passes * 0.05 < MEASURED_PASSES:
        return windowed
    step, fixed, token = measure(model, rows, size)
    windowed.overhead = fixed / token
    draws = sum(len(row.positions) for row in rows) / len(rows)
    limit = sum(row.limit for row in rows) / len(rows)
    left_to_right, skipping = limit * step, draws * fixed + limit * size * token
    log.info(
        "engine: a pass costs as much as %.0f tokens; a batch of %d takes %.2f s"
        " sequentially, at most %.2f s windowed",
        windowed.overhead,
        size,
        left_to_right,
        skipping,
    )
    if name == "auto" and left_to_right < skipping:
        return Sequential(model, sampler)
    return windowed


def facts(engine: Engine) -> dict[str, Any]:
    """What the manifest of a pass says of its engine."""
    return {
        "engine": type(engine).__name__.lower(),
        "passes": engine.counts.passes,
        "forwarded_tokens": engine.counts.forwarded,
        "projected_tokens": engine.counts.projected,
    }


@torch.inference_mode()
def measure(model: Any, rows: Sequence[Row], size: int) -> tuple[float, float, float]:
    """Seconds of a sequential step of ``size`` rows; and of flat passes, seconds of a pass
    and of each of its tokens, from a pass of one and one of eight tokens a row."""
    from transformers import DynamicCache

    device = model.device
    lengths = sorted(map(len, rows))
    past = lengths[len(lengths) // 2]
    body = decoder(model)
    slots = Slots(size, past + 8, device)
    which = torch.arange(size).numpy()

    def flat(new: int) -> None:
        ids = torch.zeros(size * new, dtype=torch.int64, device=device)
        positions = slots.step(which, 0 * which + past, 0 * which + past + new)
        attention.forward_flat(body, ids, positions, slots)

    def step() -> None:
        mask = torch.ones((size, past + 1), dtype=torch.int64, device=device)
        body(
            input_ids=mask[:, :1],
            attention_mask=mask,
            position_ids=mask[:, :1] * past,
            past_key_values=cache,
            use_cache=True,
        )

    flat(1)
    cache = DynamicCache(config=model.config)
    for layer, (keys, values) in slots.layers.items():
        shape = (size, past + 8, *keys.shape[1:])
        past_of = (x.view(shape)[:, :past].transpose(1, 2) for x in (keys, values))
        cache.update(*past_of, layer)
    one, eight = _fastest(lambda: flat(1), device), _fastest(lambda: flat(8), device)
    token = max((eight - one) / (7 * size), 1e-9)
    return _fastest(step, device), max(one - size * token, 0.0), token


def _fastest(work: Callable[[], None], device: Any) -> float:
    """Seconds of the faster of two runs."""
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - started)
    return min(seconds)

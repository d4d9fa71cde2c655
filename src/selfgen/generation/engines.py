"""Which engine fills the rows, how many rows it holds, and what if memory runs out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

from selfgen.core.errors import UserError
from selfgen.generation.decoding import Filled, Row, Sampler
from selfgen.generation.kv_cache import Slots
from selfgen.generation.onepass import OnePass
from selfgen.generation.sequential import Sequential
from selfgen.generation.speculative import STEP_TOKENS, Cost, Windowed
from selfgen.models import attention
from selfgen.models.loading import decoder

log = logging.getLogger(__name__)

EXACT = ("auto", "sequential", "windowed")
"""Engines of left-to-right decoding: in fp32 they fill in the same tokens."""

CACHED_TOKENS = {"cpu": 2**16, "mps": 2**16, "cuda": 2**18}
"""Tokens of all rows in a batch at most, so that long rows make small batches."""

COST = {"cpu": Cost(64.0, 0.7), "mps": Cost(512.0, 0.3), "cuda": Cost(4096.0, 0.3)}
"""Where too little work is ahead to measure it."""

MOST = 0.9
"""Share of drawn positions above which a pass saved is not worth a flat pass, which takes
up to a tenth longer than a sequential step (one row on a CPU)."""

RUNS = 2
"""Runs of what is measured; the fastest counts."""

MEASURED_PASSES = 9
"""Passes that a measurement takes: less than 5 % of the work that it is made for."""

Engine = Sequential | Windowed | OnePass


@dataclass(frozen=True)
class Measured:
    """Seconds: of a sequential step of the batch; of a flat pass, fixed and for each
    token; of one draw."""

    step: float
    fixed: float
    token: float
    draw: float


def fill(
    engine: Engine,
    rows: Sequence[Row],
    batch_size: int,
    progress: Callable[[int, int], None] | None = None,
) -> Filled:
    """Fill ``rows`` in order, at most ``batch_size`` at a time.

    ``progress`` is called with (rows finished, rows in all), whatever their order.

    When the device runs out of memory, the rows that are not finished go on in batches of
    half the size.

    Raises:
        UserError: out of memory with a single row.
    """
    pending = list(range(len(rows)))
    size = batch_of(rows, batch_size, engine.model.device)
    done = 0
    while pending:
        finished = set()
        try:
            for place, answer in engine([rows[i] for i in pending], size):
                finished.add(place)
                done += 1
                if progress:
                    progress(done, len(rows))
                yield pending[place], answer
            return
        except RuntimeError as error:
            if not should_reduce_batch_size(error):
                raise
            if size == 1:
                raise UserError(
                    "out of memory with one row: lower max_prompt_tokens or max_new_tokens"
                ) from error
        # Out of the handler, whose error holds the tensors of the frames it came from.
        clear_device_cache(garbage_collection=True)
        size //= 2
        log.warning("out of memory: going on with batches of %d rows", size)
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

    ``model`` is changed to attend by ``selfgen.models.attention`` where it can.
    """
    if name not in EXACT:
        raise UserError(f"engine: found {name}, allowed are {', '.join(EXACT)}")
    flat = attention.use(model)
    if name == "sequential" or (name == "auto" and not flat):
        return Sequential(model, sampler)
    if not flat:
        kind = model.config.model_type
        raise UserError(f"engine: windowed cannot run {kind}; allowed is sequential")
    windowed = Windowed(model, sampler, COST[model.device.type])
    size = batch_of(rows, batch_size, model.device)
    passes = sum(rows[i].limit for i in range(0, len(rows), size))
    if not any(row.given for row in rows):
        return windowed
    if passes * 0.05 < MEASURED_PASSES:
        draws = sum(len(row.positions) for row in rows)
        most = draws > MOST * sum(row.limit for row in rows)
        return Sequential(model, sampler) if name == "auto" and most else windowed
    try:
        found = measure(model, sampler, rows, size)
    except RuntimeError as error:
        if not should_reduce_batch_size(error):
            raise
        log.warning("engine: not measured, a batch of %d is out of memory", size)
        return windowed
    windowed.cost = Cost(found.fixed / found.token, found.draw / found.token)
    left_to_right, skipping = estimate(found, rows, size)
    log.info(
        "engine: a pass costs as much as %.0f tokens, a draw as %.1f; but for draws, a"
        " batch of %d takes %.2f s sequentially, at most %.2f s windowed",
        windowed.cost.overhead,
        windowed.cost.draw,
        size,
        left_to_right,
        skipping,
    )
    if name == "auto" and left_to_right < skipping:
        return Sequential(model, sampler)
    return windowed


def estimate(found: Measured, rows: Sequence[Row], size: int) -> tuple[float, float]:
    """Seconds of a batch of ``size`` average rows: sequentially, and windowed without
    reading on over guesses. Draws, which are the same, are not in it."""
    draws = sum(len(row.positions) for row in rows) / len(rows)
    limit = sum(row.limit for row in rows) / len(rows)
    return limit * found.step, draws * found.fixed + limit * size * found.token


def facts(engine: Engine) -> dict[str, Any]:
    """What the manifest of a pass says of its engine."""
    return {
        "engine": type(engine).__name__.lower(),
        "passes": engine.counts.passes,
        "forwarded_tokens": engine.counts.forwarded,
        "projected_tokens": engine.counts.projected,
    }


@torch.inference_mode()
def measure(model: Any, sampler: Sampler, rows: Sequence[Row], size: int) -> Measured:
    """Time a few passes with a batch of ``size`` rows of the median length."""
    from transformers import DynamicCache

    device = model.device
    past = sorted(map(len, rows))[len(rows) // 2]
    many = max(2, STEP_TOKENS[device.type] // 8 // size)
    body, head = decoder(model), model.get_output_embeddings()
    slots = Slots(size, past + many, device)
    which = torch.arange(size).numpy()

    def flat(new: int) -> torch.Tensor:
        ids = torch.zeros(size * new, dtype=torch.int64, device=device)
        positions = slots.step(which, 0 * which + past, 0 * which + past + new)
        return attention.forward_flat(body, ids, positions, slots)

    def filled() -> DynamicCache:
        cache = DynamicCache(config=model.config)
        for layer, pair in slots.layers.items():
            tables = (
                x.view(size, slots.capacity, *x.shape[1:])[:, :past] for x in pair
            )
            cache.update(*(x.transpose(1, 2) for x in tables), layer)
        return cache

    states = flat(1)
    caches = [filled() for _ in range(RUNS)]
    mask = torch.ones((size, past + 1), dtype=torch.int64, device=device)

    def step() -> None:
        body(
            input_ids=mask[:, :1],
            attention_mask=mask,
            position_ids=mask[:, :1] * past,
            past_key_values=caches.pop(),
            use_cache=True,
        )

    keys = mask[:, 0]
    one, all_ = (_fastest(lambda n=n: flat(n), device) for n in (1, many))
    token = max((all_ - one) / ((many - 1) * size), 1e-9)
    draws = _fastest(lambda: sampler(head, states, keys, keys), device)
    return Measured(
        _fastest(step, device), max(one - size * token, 0.0), token, draws / size
    )


def _fastest(work: Callable[[], Any], device: Any) -> float:
    """Seconds of the fastest of ``RUNS`` runs."""
    seconds = []
    for _ in range(RUNS):
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - started)
    return min(seconds)

"""Which engine fills the requests, how longer it holds, and what if memory runs out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

from selfgen.core import memory
from selfgen.core.errors import UserError
from selfgen.generation import trial
from selfgen.generation.decoding import Filled, Request
from selfgen.generation.kv_cache import KVCache
from selfgen.generation.onepass import OnePass
from selfgen.generation.sampling import NoNumber, Sampler
from selfgen.generation.sequential import Alone, Sequential, Uncached
from selfgen.generation.speculative import STEP_TOKENS, Cost, Speculative
from selfgen.models import attention, probe, sizes
from selfgen.models.reader import Reader

log = logging.getLogger(__name__)

EXACT = ("auto", "sequential", "speculative")
"""Engines of left-to-right decoding: in fp32 they fill in the same tokens."""

CACHED_TOKENS = {"cpu": 2**16, "mps": 2**16, "cuda": 2**18}
"""Maximum number of tokens of all requests in a batch: long requests make small batches."""

LOGITS = 2**28
"""Maximum number of logits of a pass."""

COST = {"cpu": Cost(64.0, 0.7), "mps": Cost(512.0, 0.3), "cuda": Cost(4096.0, 0.3)}
"""Assumed where there is too little work to measure it."""

MAX_DRAWN_SHARE = 0.9
"""With a larger share of drawn positions the sequential engine is faster: a flat pass takes
up to a tenth longer than its step (one row on a CPU)."""

RUNS = 2
"""Repetitions of a measurement; the fastest counts."""

MEASURED_PASSES = 9
"""Passes that a measurement takes. It is made only for twenty times as much work, and of
free answers for eighty times as much at most."""

Engine = Sequential | Uncached | Speculative | OnePass


@dataclass(frozen=True)
class Measured:
    """Seconds: of a flat pass, fixed and for each token; of one draw; and of a sequential
    step of the batch, None where that was not asked for."""

    fixed: float
    token: float
    draw: float
    step: float | None = None


def fill(
    engine: Engine,
    requests: Sequence[Request],
    batch_size: int,
    progress: Callable[[int, int], None] | None = None,
) -> Filled:
    """Fill ``requests`` in order, at most ``batch_size`` at a time, and fewer of long ones.

    ``progress`` is called with (requests finished, requests in all), whatever their order.

    When the device runs out of memory, the requests that are not finished go on in
    batches of half the size.

    Raises:
        UserError: out of memory with a single request; tokens that the model does not have.
    """
    for request in requests:
        engine.reader.check_ids(request.name, [*request.prompt_ids, *request.given])
    done = 0
    for part, size in parts(requests, batch_size, engine.reader):
        for index, answer in _filled(engine, requests, part, size):
            done += 1
            if progress:
                progress(done, len(requests))
            yield index, answer


def _filled(
    engine: Engine, requests: Sequence[Request], pending: list[int], size: int
) -> Filled:
    """``requests`` at ``pending``, in batches of ``size`` or as fit the device."""
    while pending:
        finished = set()
        size = min(size, len(pending))
        try:
            for place, answer in engine([requests[i] for i in pending], size):
                finished.add(place)
                yield pending[place], answer
            return
        except NoNumber as error:
            named = next(r.name for r in requests if r.key == error.key)
            raise UserError(
                f"generation: the logits of {probe.name_of(engine.reader.model)} before"
                f" token {error.position} of the answer to {named} are not finite"
            ) from None
        except RuntimeError as error:
            if not should_reduce_batch_size(error):
                raise
            if size == 1:
                raise UserError(
                    "out of memory with one request: lower max_prompt_tokens or"
                    " max_new_tokens"
                ) from error
        # Out of the handler, whose error holds the tensors of the frames it came from.
        clear_device_cache(garbage_collection=True)
        size //= 2
        log.warning("out of memory: going on with batches of %d requests", size)
        pending = [i for place, i in enumerate(pending) if place not in finished]


def in_order(filled: Filled) -> Iterator[tuple[int, list[int]]]:
    """The same, by index: requests that finish early wait for those before them."""
    waiting: dict[int, list[int]] = {}
    wanted = 0
    for index, answer in filled:
        waiting[index] = answer
        while wanted in waiting:
            yield wanted, waiting.pop(wanted)
            wanted += 1


def parts(
    requests: Sequence[Request], batch_size: int, reader: Reader
) -> list[tuple[list[int], int]]:
    """Indices of the requests that are filled together, and in batches of what size: of
    ``batch_size``, or of as many of the longest as ``CACHED_TOKENS`` allows, and ``LOGITS``
    where the model gives those of all tokens. So a long request makes no small batches of
    those that are less than half as long."""
    tokens = CACHED_TOKENS[reader.device.type]
    if reader.way == "whole":
        tokens = min(tokens, LOGITS // reader.vocabulary)
    found: dict[int, list[int]] = {}
    for index, request in enumerate(requests):
        fit = tokens // max(1, len(request))
        kind = 0 if fit >= batch_size else max(1, fit).bit_length()
        found.setdefault(kind, []).append(index)
    return [
        (part, max(1, min(batch_size, tokens // max(len(requests[i]) for i in part))))
        for part in found.values()
    ]


def make(
    name: str,
    model: Any,
    sampler: Sampler,
    requests: Sequence[Request],
    batch_size: int,
) -> Engine:
    """The engine ``name`` for ``requests``; ``auto`` takes the exact one that is measured, or
    with little work or free answers likely, to be faster.

    ``model`` is changed to attend by ``selfgen.models.attention`` where that is right; which
    engines are, ``trial`` finds. Rows whose length would change others are read one by one.
    """
    if name not in EXACT:
        raise UserError(f"engine: found {name}, allowed are {', '.join(EXACT)}")
    reader = probe.reader(model)
    longest = max(map(len, requests), default=0)
    reader.check(longest)
    if reader.device.type != "cuda":  # there it is tried, and the batch halved
        number = model.dtype.itemsize
        row = longest * sizes.token_bytes(reader.config.to_dict(), number)
        what = f"one row of {longest} tokens"
        memory.ask("generation", what, row, "lower max_prompt_tokens or max_new_tokens")
    if reader.alike and longest > reader.alike:
        return Uncached(reader, sampler)
    speculative = Speculative(reader, sampler, COST[reader.device.type])
    speculates = name != "sequential" and _speculates(reader)
    if name == "sequential" or (name == "auto" and not speculates):
        return stepwise(reader, sampler)
    if not speculates:
        kind = probe.name_of(model)
        raise UserError(f"engine: speculative cannot run {kind}; allowed is sequential")
    divided = parts(requests, batch_size, reader)
    passes = sum(requests[i].limit for part, n in divided for i in part[::n])
    # Free answers end where nobody knows: rows of their own pace win in any case.
    known = any(request.given for request in requests)
    may_step = known and name == "auto"
    share = 0.05 if known else 0.0125  # most end long before their limit
    if passes * share < MEASURED_PASSES:
        draws = sum(len(request.positions) for request in requests)
        most = draws > MAX_DRAWN_SHARE * sum(request.limit for request in requests)
        return stepwise(reader, sampler) if may_step and most else speculative
    try:
        largest, size = max(divided, key=lambda part: len(part[0]))
        some = [requests[i] for i in largest]
        size = min(size, len(some))
        measured = measure(reader, sampler, some, size, steps=may_step)
    except NoNumber:  # of what is measured; the requests will tell
        return speculative
    except RuntimeError as error:
        if not should_reduce_batch_size(error):
            raise
        log.warning("engine: not measured, a batch of %d is out of memory", size)
        return speculative
    if measured is None:
        return speculative
    speculative.cost = Cost(
        measured.fixed / measured.token, measured.draw / measured.token
    )
    log.info(
        "engine: a pass costs as much as %.0f tokens, a draw as %.1f",
        speculative.cost.overhead,
        speculative.cost.draw,
    )
    if measured.step is None:
        return speculative
    left_to_right, skipping = estimate(measured, measured.step, some, size)
    log.info(
        "engine: but for draws, a batch of %d takes %.2f s sequentially, at most %.2f s"
        " speculative",
        size,
        left_to_right,
        skipping,
    )
    return stepwise(reader, sampler) if left_to_right < skipping else speculative


def try_out(model: Any) -> None:
    """Find which engines are right, where ``make`` will ask for them in half precision."""
    reader = probe.reader(model)
    _speculates(reader)
    _stepwise(reader)


def stepwise(reader: Reader, sampler: Sampler) -> Sequential | Uncached:
    """The fastest engine of a pass a token that is right."""
    return _stepwise(reader)(reader, sampler)


def _speculates(reader: Reader) -> bool:
    engine = partial(Speculative, cost=COST[reader.device.type])
    return reader.way == "flat" and trial.is_right(reader, "speculative", engine)


def _stepwise(reader: Reader) -> type[Sequential | Uncached]:
    if trial.is_right(reader, "sequential", Sequential):
        return Sequential
    return Alone if trial.is_right(reader, "alone", Alone) else Uncached


def estimate(
    measured: Measured, step: float, requests: Sequence[Request], size: int
) -> tuple[float, float]:
    """Seconds of a batch of ``size`` average requests: sequentially, and speculative without
    reading on over guesses. Draws, which are the same, are not in it."""
    draws = sum(len(request.positions) for request in requests) / len(requests)
    limit = sum(request.limit for request in requests) / len(requests)
    return limit * step, draws * measured.fixed + limit * size * measured.token


def facts(engine: Engine) -> dict[str, Any]:
    """What the manifest of a pass records about its engine."""
    return {
        "engine": type(engine).__name__.lower(),
        "read": engine.reader.way,
        "passes": engine.counts.passes,
        "forwarded_tokens": engine.counts.forwarded,
        "projected_tokens": engine.counts.projected,
    }


@torch.inference_mode()
def measure(
    reader: Reader,
    sampler: Sampler,
    requests: Sequence[Request],
    size: int,
    *,
    steps: bool,
) -> Measured | None:
    """Time a few passes with a batch of ``size`` requests of the median length, and with
    ``steps`` a sequential step; None of a model that attends several times in a layer, whose
    own cache is filled otherwise."""
    device = reader.device
    past = sorted(map(len, requests))[len(requests) // 2]
    longer = max(2, STEP_TOKENS[device.type] // 8 // size)
    for most in (reader.positions, reader.alike):
        if most:  # positions that there are
            longer = max(2, min(longer, most // 2))
            past = max(0, min(past, most - longer))
    cache = KVCache(size, past + longer, device)
    which = torch.arange(size).numpy()

    def flat(new: int) -> torch.Tensor:
        ids = torch.zeros(size * new, dtype=torch.int64, device=device)
        positions = cache.step(which, 0 * which + past, 0 * which + past + new)
        return attention.forward_flat(reader.decoder, ids, positions, cache)

    states = flat(1)
    if any(call for _, call in cache.layers):
        return None
    one, all_ = (_fastest(partial(flat, n), device) for n in (1, longer))
    token = max((all_ - one) / ((longer - 1) * size), 1e-9)
    keys = torch.ones(size, dtype=torch.int64, device=device)
    draws = _fastest(lambda: sampler(reader, states, keys, keys), device)
    step = _step(reader, cache, past) if steps else None
    return Measured(max(one - size * token, 0.0), token, draws / size, step)


def _step(reader: Reader, cache: KVCache, past: int) -> float:
    """Seconds of a sequential step after ``past`` tokens of each row, which empties the
    cache: its keys and values are not held twice."""
    from transformers import DynamicCache

    own = DynamicCache(config=reader.config)
    for layer, _ in sorted(cache.layers):
        tables = (
            x.view(cache.rows, cache.capacity, *x.shape[1:])[:, :past].transpose(1, 2)
            for x in cache.layers.pop((layer, 0))
        )
        own.update(*tables, layer)
    mask = torch.ones(
        (cache.rows, past + RUNS), dtype=torch.int64, device=reader.device
    )
    lengths = iter(range(past, past + RUNS))

    def step() -> None:
        length = next(lengths)
        first = mask[:, :1]
        reader.step(first, mask[:, : length + 1], first * length, own)

    return _fastest(step, reader.device)


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

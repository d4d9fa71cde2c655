"""Every way of reading and of decoding is made wrong on purpose, and noticed.

What is wrong is a layer, a model, a reader or an engine that really computes something else;
each is held against the same one without the fault. Gross faults are noticed in bf16 alone,
the others where a model was tried in fp32 before it was rounded, as loading does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM, LlamaModel
from transformers.models.mistral.modeling_mistral import MistralAttention

from selfgen.core.spec import Device, Sampling
from selfgen.generation import answers, engines, trial
from selfgen.generation.kv_cache import KVCache
from selfgen.generation.sampling import Sampler
from selfgen.generation.sequential import Sequential
from selfgen.generation.speculative import Cost, Span, Speculative
from selfgen.models import probe
from selfgen.models.attention import Packed, forward_flat
from selfgen.models.reader import Reader
from tests.families import build

PRECISIONS = (torch.float32, torch.bfloat16)


@pytest.fixture(autouse=True)
def no_verdicts() -> Iterator[None]:
    """Each test tries anew."""
    kept = (probe.verdicts, probe._exact, trial.verdicts, trial._exact)
    for verdicts in kept:
        verdicts.clear()
    yield
    for verdicts in kept:
        verdicts.clear()


class Adding(torch.nn.Module):
    """A projection that adds something of its own to what it gives."""

    def __init__(self, inner: torch.nn.Module, fault: Callable[..., Any]) -> None:
        super().__init__()
        self.inner, self.fault = inner, fault

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x) + self.fault(x)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize(
    ("fault", "way"),
    [
        (lambda x: 0.0, "flat"),
        # Rows of a batch are told apart from a batch of one: flat has one row.
        (lambda x: float(len(x) - 1), "flat"),
        # The tokens of one pass reach over the rows of the flat sequence.
        (lambda x: x.cumsum(1) - x, "padded"),
        # Both: nothing but the model alone with one row is right.
        (lambda x: (x.cumsum(1) - x) * (1 + 0.5 * (len(x) - 1)), "whole"),
    ],
)
def test_rows_that_disturb_each_other(
    fault: Callable[..., Any], way: str, dtype: torch.dtype
) -> None:
    model = build("llama")
    for layer in model.model.layers:
        layer.self_attn.o_proj = Adding(layer.self_attn.o_proj, fault)
    assert probe.reader(model.to(dtype)).way == way


class Among(LlamaModel):
    """Reads other tokens where rows of a flat sequence are several, or where one is alone."""

    several: bool

    def forward(self, input_ids: Any, layout: Any = None, **others: Any) -> Any:
        wrong = isinstance(layout, Packed) and (layout.rows > 1) == self.several
        return super().forward(input_ids + wrong, layout=layout, **others)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("several", [True, False])
def test_a_row_that_is_right_beside_others_or_alone(
    several: bool, dtype: torch.dtype
) -> None:
    model = build("llama").to(dtype)
    assert probe.reader(model).way == "flat"
    probe.verdicts.clear()
    probe._exact.clear()
    model.model.__class__ = Among
    model.model.several = several
    assert probe.reader(model).way == "padded"


class Window(MistralAttention):
    """Sees a few tokens more or fewer than its window where rows are flat."""

    more: int | None

    def forward(self, *given: Any, layout: Any = None, **others: Any) -> Any:
        window = self.config.sliding_window
        if layout is not None:
            self.config.sliding_window = (
                None if self.more is None else window + self.more
            )
        try:
            return super().forward(*given, layout=layout, **others)
        finally:
            self.config.sliding_window = window


@pytest.mark.parametrize(
    ("more", "way"), [(0, "flat"), (1, "padded"), (-1, "padded"), (None, "padded")]
)
def test_a_window_of_another_size(more: int | None, way: str) -> None:
    """Its window of 64 tokens is longer than the probe's rows."""
    model = build("mistral", sliding_window=64)
    for layer in model.model.layers:
        layer.self_attn.__class__ = Window
        layer.self_attn.more = more
    assert probe.reader(model).way == way
    assert probe.reader(model.bfloat16()).way == way


class Head(LlamaForCausalLM):
    """Logits that depend on more than the decoder's states."""

    fault: Callable[..., Any]

    def forward(self, input_ids: Any, **others: Any) -> Any:
        out = super().forward(input_ids, **others)
        out.logits = out.logits + type(self).fault(input_ids, out.logits)
        return out


def by_token(ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    return 20 * torch.nn.functional.one_hot(ids, logits.shape[-1])


def by_place(ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    return logits * torch.arange(ids.shape[1])[None, :, None]


def by_row(ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    return logits.roll(1, -1).cumsum(1) / 8


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("fault", [by_token, by_place, by_row])
def test_logits_that_states_alone_do_not_give(
    fault: Callable[..., Any], dtype: torch.dtype
) -> None:
    model = build("llama").to(dtype)
    model.__class__ = type("Own", (Head,), {"fault": staticmethod(fault)})
    assert probe.reader(model).way == "whole"


class Stopping(torch.autograd.Function):
    """What it is given; its gradient is half as large where that is asked for."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, stops: bool) -> torch.Tensor:
        ctx.stops = stops
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        return gradients[0] * (0.5 if ctx.stops else 1.0), None


class Norm(torch.nn.Module):
    def __init__(self, inner: torch.nn.Module, stops: Callable[..., bool]) -> None:
        super().__init__()
        self.inner, self.stops = inner, stops

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = Stopping.apply(self.inner(x), self.stops(x))
        return made


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize(
    ("stops", "way"),
    [
        (lambda x: False, "flat"),
        (lambda x: x.shape[1] > max(probe.LENGTHS), "padded"),
        (lambda x: x.shape[1] > max(probe.LENGTHS) or len(x) > 1, "whole"),
    ],
)
def test_gradients_alone(
    stops: Callable[..., bool], way: str, dtype: torch.dtype
) -> None:
    """Equal logits, whose gradient is another where several rows are read."""
    model = build("llama").to(dtype)
    model.model.norm = Norm(model.model.norm, stops)
    assert probe.reader(model).way == "flat"
    assert probe.reader(model, gradients=True).way == way


class Stepping(Reader):
    """A reader whose steps with a cache are wrong."""

    def __init__(self, of: Reader, fault: Callable[..., Any]) -> None:
        super().__init__(of.model, of.decoder, "padded")
        self.fault, self.rows = fault, 0

    def step(
        self, input_ids: Any, mask: Any, positions: Any, cache: Any
    ) -> torch.Tensor:
        changed = self.fault(input_ids, mask, positions, cache, self.rows)
        self.rows = len(input_ids)
        return super().step(*(changed or (input_ids, mask, positions)), cache)


def nothing(ids: Any, mask: Any, at: Any, cache: Any, before: int) -> Any:
    return None


def padded_rows_read_another_token(
    ids: Any, mask: Any, at: Any, cache: Any, before: int
) -> Any:
    return ids + mask[:, -1:] - mask[:, :1], mask, at


def several_rows_read_another_token(
    ids: Any, mask: Any, at: Any, cache: Any, before: int
) -> Any:
    return ids + int(len(ids) > 1), mask, at


def padding_is_seen(ids: Any, mask: Any, at: Any, cache: Any, before: int) -> Any:
    return ids, torch.ones_like(mask), at


def padding_is_counted(ids: Any, mask: Any, at: Any, cache: Any, before: int) -> Any:
    length = mask.shape[1]
    return ids, mask, torch.arange(length - ids.shape[1], length).expand_as(ids)


def rows_leave_and_others_change_places(
    ids: Any, mask: Any, at: Any, cache: Any, before: int
) -> None:
    if len(ids) < before:
        cache.batch_select_indices(torch.arange(len(ids)).roll(1))


def a_past_reads_another_token(
    ids: Any, mask: Any, at: Any, cache: Any, before: int
) -> Any:
    return ids + int(cache.get_seq_length() > 0), mask, at


def a_past_stands_still(ids: Any, mask: Any, at: Any, cache: Any, before: int) -> Any:
    past = cache.get_seq_length() > 0
    return ids, mask, (mask.sum(-1, keepdim=True) - 2 if past else at)


def a_past_is_lost(ids: Any, mask: Any, at: Any, cache: Any, before: int) -> None:
    if cache.get_seq_length() > 0:
        cache.crop(-1)
        for layer in cache.layers:
            layer.keys = torch.cat([layer.keys, layer.keys[:, :, -1:]], 2)
            layer.values = torch.cat([layer.values, layer.values[:, :, -1:]], 2)


@pytest.mark.parametrize(
    ("fault", "engine"),
    [
        (nothing, "sequential"),
        (padded_rows_read_another_token, "alone"),
        (several_rows_read_another_token, "alone"),
        (padding_is_seen, "alone"),
        (padding_is_counted, "alone"),
        (rows_leave_and_others_change_places, "alone"),
        (a_past_reads_another_token, "uncached"),
        (a_past_stands_still, "uncached"),
        (a_past_is_lost, "uncached"),
    ],
)
def test_steps_that_are_wrong(fault: Callable[..., Any], engine: str) -> None:
    """GPT-2 counts positions from a row's start; a rotary model sees distances alone."""
    model = build("gpt2")
    model.transformer.wpe.weight.data *= 2
    for dtype in PRECISIONS:
        reader = Stepping(probe.reader(model.to(dtype)), fault)
        found = engines.stepwise(reader, Sampler(Sampling()))
        assert type(found).__name__.lower() == engine


class Shifted(Speculative):
    """Tokens behind what is cached stand one position further."""

    def _forward(
        self, cache: KVCache, which: Any, starts: Any, ends: Any, tokens: Any
    ) -> torch.Tensor:
        positions = cache.step(np.array(which), np.array(starts), np.array(ends))
        wrong = positions + int(min(starts) > 0)
        return forward_flat(self.reader.decoder, torch.from_numpy(tokens), wrong, cache)


class Stale(Speculative):
    """What was read behind a wrong guess stays in the cache."""

    def _settle(self, span: Span, draws: list[int]) -> bool:
        finished = super()._settle(span, draws)
        behind = span.work.marks[span.work.front :]
        if not finished and behind:
            span.work.cached = min(span.end, behind[0] - 1)
        return finished


class Unread(Speculative):
    """The token that was drawn is not read."""

    def _settle(self, span: Span, draws: list[int]) -> bool:
        finished = super()._settle(span, draws)
        if draws and not finished:
            span.work.cached += 1
        return finished


class Prefix(Speculative):
    """A token of the common beginning is not copied to the other rows."""

    def _read_prefix(self, requests: Any, cache: KVCache) -> int:
        length = super()._read_prefix(requests, cache)
        for keys, values in cache.layers.values():
            for table in (keys, values):
                rows = table.view(cache.rows, cache.capacity, *table.shape[1:])
                rows[1:, length - 1] = 0
        return length


class First(KVCache):
    """Of rows that stay it keeps others: the first ones."""

    def keep(self, slots: list[int]) -> None:
        super().keep(list(range(len(slots))))


class Misplaced(Speculative):
    """When rows leave the cache, others take the place of those that stay."""

    def _forward(self, cache: KVCache, *others: Any) -> torch.Tensor:
        cache.__class__ = First
        return super()._forward(cache, *others)


class Leftover(Speculative):
    """A request that comes later starts with the past of the one before."""

    def _spans(self, active: Any, room: int) -> list[Span]:
        for work in active.values():
            if work.index >= trial.BATCH and work.front == 0:
                work.cached = max(work.cached, trial.ALIKE + 1)
        return super()._spans(active, room)


class Wide(KVCache):
    """Each token sees the next one's place."""

    def _mask(self, number: int, *others: Any) -> torch.Tensor:
        self.groups[number].last.add_(1)
        made = super()._mask(number, *others)
        self.groups[number].last.sub_(1)
        return made


class Ahead(Speculative):
    """Attention over the cache reaches one place too far."""

    def _forward(self, cache: KVCache, *others: Any) -> torch.Tensor:
        cache.__class__ = Wide
        return super()._forward(cache, *others)


FAULTS = [Shifted, Stale, Unread, Prefix, Misplaced, Leftover, Ahead]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_speculative_engine_that_is_wrong(fault: Any) -> None:
    model, cost = build("llama"), Cost(64.0, 0.7)
    for dtype in PRECISIONS:
        reader = probe.reader(model.to(dtype))
        assert trial.is_right(reader, "right", partial(Speculative, cost=cost))
        assert not trial.is_right(reader, "wrong", partial(fault, cost=cost))


def test_a_model_is_tried_before_it_is_rounded(tmp_path: Path) -> None:
    """Rows that leave a cache disturb RecurrentGemma by less than bf16 may differ."""
    model = build("recurrent_gemma")
    model.save_pretrained(tmp_path)
    rounded = probe.reader(build("recurrent_gemma").bfloat16())
    assert trial.is_right(rounded, "sequential", Sequential)
    trial.verdicts.clear()
    loaded, facts = answers.load(tmp_path, Device("cpu", "bf16"))
    assert (loaded.dtype, facts["precision"]) == (torch.bfloat16, "bf16")
    assert not trial.is_right(probe.reader(loaded), "sequential", Sequential)

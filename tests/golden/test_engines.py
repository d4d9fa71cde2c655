"""Choice of the engine, batches by tokens, and what happens when memory runs out."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from selfgen.bench import harness
from selfgen.core.errors import UserError
from selfgen.core.spec import Sampling
from selfgen.generation import engines, forced
from selfgen.generation.decoding import Request
from selfgen.generation.sampling import Sampler
from selfgen.generation.sequential import Sequential
from selfgen.generation.speculative import Speculative
from selfgen.models import attention, probe, sizes
from selfgen.models.reader import Reader
from tests.golden.conftest import EOS, SPECIAL, build, built
from tests.golden.test_forced import made, references, spec_of

SAMPLER = Sampler(Sampling(1.0), SPECIAL)


def work(n: int = 6, answer: int = 10) -> list[Request]:
    return [Request(i, [3, 4, 5 + i], answer, [7] * answer, [2, 5]) for i in range(n)]


class _Small:
    """A device whose memory holds so many new tokens of a pass: a real hook on a real
    model that raises what torch raises."""

    def __init__(self, model: Any, tokens: int) -> None:
        self.tokens, self.refused = tokens, 0
        model.base_model.register_forward_pre_hook(self.check, with_kwargs=True)

    def check(self, module: Any, args: Any, kwargs: Any) -> None:
        if kwargs["input_ids"].numel() > self.tokens:
            self.refused += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")


@pytest.mark.parametrize("engine", ["sequential", "speculative"])
def test_out_of_memory_halves_the_batch_and_loses_no_row(
    engine: str, caplog: pytest.LogCaptureFixture
) -> None:
    rows, spec = references(13), spec_of()
    expected = made(built("llama"), rows, spec, engine, batch_size=8)
    model = build("llama")
    small = _Small(model, 60)
    with caplog.at_level(logging.WARNING):
        assert made(model, rows, spec, engine, batch_size=8) == expected
    assert small.refused >= 1
    assert "going on with batches of 4 requests" in caplog.text


def test_a_batch_that_cannot_be_measured_is_halved_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(engines, "MEASURED_PASSES", 0)
    rows, spec = references(13), spec_of()
    expected = made(built("llama"), rows, spec, "speculative", batch_size=8)
    model = build("llama")
    _Small(model, 100)
    with caplog.at_level(logging.WARNING):
        assert made(model, rows, spec, "speculative", batch_size=8) == expected
    assert "not measured, a batch of 8 is out of memory" in caplog.text


def test_one_request_that_does_not_fit_is_an_error() -> None:
    model = build("llama")
    small = _Small(model, 2)
    with pytest.raises(UserError, match="out of memory with one request: lower max_"):
        made(model, references(3), spec_of(), "speculative", batch_size=64)
    assert small.refused == 2, "three rows, and then one"


def test_long_rows_make_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 20 tokens and 3 of the prompt five fit into 100, of 25 four."""
    monkeypatch.setitem(engines.CACHED_TOKENS, "cpu", 100)
    model = build("llama")
    reader = Reader(model, model.model, "padded")

    def sizes_of(answer: int, size: int, reader: Reader) -> list[int]:
        (found,) = engines.parts(work(answer=answer), size, reader)
        assert found[0] == [0, 1, 2, 3, 4, 5]
        return found[1:]

    assert sizes_of(17, 64, reader) == (5,)
    assert sizes_of(22, 64, reader) == (4,)
    assert sizes_of(22, 3, reader) == (3,)
    assert sizes_of(500, 64, reader) == (1,)
    monkeypatch.setattr(engines, "LOGITS", 50 * reader.vocabulary)
    assert sizes_of(17, 64, reader) == (5,)
    whole = Reader(model, None, "whole")  # gives the logits of all tokens
    assert sizes_of(17, 64, whole) == (2,)
    assert engines.parts([], 4, reader) == []


class _Told(list[tuple[int, int]]):
    def add(self, done: int, of: int) -> None:
        self.append((done, of))


def test_a_long_row_makes_no_small_batches_of_short_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ten rows of 20 tokens, and among them one of 90, of 60 and of 50, in batches of 4."""
    monkeypatch.setitem(engines.CACHED_TOKENS, "cpu", 100)
    model = build("llama")
    requests = work(13, answer=17)
    for place, answer in ((3, 87), (7, 57), (9, 47)):
        requests[place] = Request(place, [3, 4, 5], answer, [7] * answer, [2, 5])
    reader = probe.reader(model)
    short = [i for i in range(13) if i not in (3, 7, 9)]
    expected = [(short, 4), ([3, 7], 1), ([9], 2)]
    assert engines.parts(requests, 4, reader) == expected
    seen: list[int] = []
    for name in ("sequential", "speculative"):
        engine = engines.make(name, model, SAMPLER, requests, 4)
        told = _Told()
        answers = dict(engines.fill(engine, requests, 4, told.add))
        assert sorted(answers) == list(range(13))
        assert told == [(n, 13) for n in range(1, 14)]
        seen.append(engine.counts.passes)
        alone = {
            i: next(iter(engines.fill(engine, [r], 1)))[1]
            for i, r in enumerate(requests)
        }
        assert answers == alone
    # Three batches of short rows, and each long one alone
    assert seen[0] == 3 * 17 + 87 + 57 + 47


def test_it_is_measured_within_the_positions_that_a_model_has() -> None:
    """One row of 100 of 128 positions: a longer pass of 64 tokens would end beyond."""
    model = build("gpt2")
    reader = probe.reader(model)
    assert reader.positions == 128
    one = [Request(0, [3] * 80, 48, [7] * 48, [2, 5])]
    for requests in (one, one * 2):
        assert engines.measure(reader, SAMPLER, requests, len(requests), steps=True)


def test_a_finished_row_stays_within_the_positions_of_a_model() -> None:
    """It ends at the last of 128 positions while others, which are shorter, go on."""
    model = build("gpt2")
    rows = [Request(0, [3] * 120, 8, [7] * 8, [2, 5])]
    rows += [Request(i, [3] * 5, 60, [7] * 60, [2, 50]) for i in range(1, 5)]
    engine = engines.make("sequential", model, SAMPLER, rows, 5)
    answers = dict(engines.fill(engine, rows, 5))
    expected = dict(
        engines.fill(engines.make("speculative", model, SAMPLER, rows, 5), rows, 5)
    )
    assert answers == expected


def test_estimate() -> None:
    """Two draws a row of 40 tokens, 6 rows: 40 steps of 0.2 s are 8 s; 2 passes of 1 s
    and 240 tokens of 0.01 s are 4.4 s."""
    found = engines.Measured(fixed=1.0, token=0.01, draw=0.02)
    estimated = engines.estimate(found, 0.2, work(answer=40), 6)
    assert estimated == pytest.approx((8.0, 4.4))


def test_auto_takes_the_engine_that_it_says_is_faster(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(engines, "MEASURED_PASSES", 0)
    with caplog.at_level(logging.INFO):
        engine = engines.make("auto", build("llama"), SAMPLER, work(answer=40), 6)
    said = re.search(r"takes (\S+) s sequentially, at most (\S+) s spec", caplog.text)
    assert said
    faster = Speculative if float(said[2]) <= float(said[1]) else Sequential
    assert isinstance(engine, faster)


def test_little_work_is_not_measured(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        engine = engines.make("auto", build("llama"), SAMPLER, work(answer=40), 6)
    assert isinstance(engine, Speculative)
    assert engine.cost == engines.COST["cpu"]
    assert "engine:" not in caplog.text
    drawn = [Request(i, [3, 4], 10, [7] * 10, range(9)) for i in range(3)]
    assert isinstance(
        engines.make("auto", build("llama"), SAMPLER, drawn, 3), Speculative
    )
    drawn = [Request(i, [3, 4], 20, [7] * 20, range(19)) for i in range(3)]
    assert isinstance(
        engines.make("auto", build("llama"), SAMPLER, drawn, 3), Sequential
    )


def test_measurement_is_of_this_model() -> None:
    reader = probe.reader(build("mistral"))
    found = engines.measure(reader, SAMPLER, work(), 4, steps=True)
    assert found is not None and found.step is not None
    assert 0 < found.step < 1
    assert 0 < found.token < found.step
    assert 0 <= found.fixed < 1
    assert 0 < found.draw < 1
    found = engines.measure(reader, SAMPLER, work(), 4, steps=False)
    assert found is not None and found.step is None


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="not Linux")
def test_a_measurement_holds_keys_and_values_once() -> None:
    reader = probe.reader(build("llama"))
    size, past = 512, 2000
    requests = [Request(i, [3] * (past - 10), 10, [7] * 10, [2]) for i in range(size)]
    number = reader.model.dtype.itemsize
    whole = size * past * sizes.token_bytes(reader.config.to_dict(), number) / 2**20
    assert whole > 150
    Path("/proc/self/clear_refs").write_text("5")
    before = harness.resident_mb()
    found = engines.measure(reader, SAMPLER, requests, size, steps=True)
    after = harness.resident_mb()
    assert found and found.step and before and after
    # A step copies one layer of two to put a token behind it.
    assert after - before < 1.9 * whole


def test_a_model_that_cannot_be_laid_out_flat_decodes_sequentially() -> None:
    model = build("llama", attention_bias=True)
    model._supports_attention_backend = False
    assert isinstance(engines.make("auto", model, SAMPLER, work(), 4), Sequential)
    with pytest.raises(
        UserError, match="speculative cannot run LlamaForCausalLM; allowed is sequ"
    ):
        engines.make("speculative", model, SAMPLER, work(), 4)


def test_what_a_layout_cannot_compute_is_left_alone() -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    for change in ({"attention_chunk_size": 8}, {"layer_types": ["linear_attention"]}):
        model = build("llama")
        for key, value in change.items():
            setattr(model.config, key, value)
        assert not attention.use(model), change
        assert model.config._attn_implementation != attention.NAME
    shape = {
        "vocab_size": 31,
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "state_size": 4,
    }
    mamba = AutoModelForCausalLM.from_config(AutoConfig.for_model("mamba", **shape))
    assert not attention.use(mamba)
    assert attention.use(build("mistral"))


def test_unknown_engine() -> None:
    run = forced.run(
        built("llama"), references(2), spec_of(), SPECIAL, [EOS], engine="x"
    )
    with pytest.raises(
        UserError, match="engine: found x, allowed are auto, sequential"
    ):
        next(run)


def test_in_order() -> None:
    filled = iter([(1, [1]), (0, [0]), (3, [3]), (2, [2])])
    assert list(engines.in_order(filled)) == [(i, [i]) for i in range(4)]


def test_progress_counts_rows_that_wait_for_an_earlier_one() -> None:
    """The first row is the longest, so most others are finished before it is out."""
    rows = [forced.Reference(f"r{i}", 0, [3, 4], [7] * 9 + [EOS]) for i in range(5)]
    rows += [forced.Reference("long", 0, [3, 4], [7] * 60 + [EOS])]
    calls: list[tuple[int, int]] = []
    run = forced.run(
        built("llama"),
        rows,
        spec_of(),
        SPECIAL,
        [EOS],
        batch_size=3,
        engine="speculative",
        progress=lambda done, total: calls.append((done, total)),
    )
    assert next(run)["id"] == "long"
    assert len(calls) >= 4
    assert len(list(run)) == 5
    assert calls == [(done, 6) for done in range(1, 7)]

"""On a GPU: what must be equal there is equal, to the CPU and to itself.

The models are tiny and in fp32 unless a test says otherwise. Speed and memory at the size of
real models are in docs/reference/bench.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from transformers import AutoConfig, AutoModelForCausalLM

import selfgen
from selfgen.bench.training import random_rows
from selfgen.core.memory import peak_memory_mb
from selfgen.core.spec import Device, Sampling
from selfgen.generation.decoding import Prompt
from selfgen.models import shapes
from selfgen.models.loading import place
from selfgen.training import causal
from selfgen.training.spec import Lora, Online, TwoPass
from tests.golden import test_free, test_preference, test_two_pass
from tests.golden.conftest import KINDS, SPECIAL, build
from tests.golden.test_forced import made, references, spec_of
from tests.tiny import tiny
from tests.unit import test_training
from tests.unit.test_training import SPEC, altered, assert_same

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU"),
]

CUDA = Device("cuda", "fp32")
OBJECTIVES = {
    "labels": (test_training.rows, SPEC),
    "lora": (test_training.rows, altered(SPEC, lora=Lora(rank=4, alpha=8))),
    "pairs": (test_preference.pairs, test_preference.SPEC),
    "two-pass": (
        test_two_pass.rows,
        replace(SPEC, loss=TwoPass(beta=0.5)),
    ),
    "online": (
        test_two_pass.rows,
        replace(SPEC, loss=Online(beta=0.5, every=2)),
    ),
}


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """accelerate keeps the first device of a process."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)
    torch.cuda.empty_cache()


def fit(objective: str, device: Device, **changes: Any) -> tuple[Any, causal.Outcome]:
    AcceleratorState._reset_state(reset_partial_state=True)
    rows, spec = OBJECTIVES[objective]
    model = build("llama")
    spec = replace(spec, device=device)
    banned = SPECIAL[:2] if objective in ("two-pass", "online") else ()
    model, outcome = causal.train(model, rows(), spec, banned=banned, **changes)
    return model.cpu(), outcome


# The forced pass and free generation.


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("engine", ["sequential", "speculative", "auto"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_forced_pass_draws_what_the_cpu_draws(
    kind: str, engine: str, temperature: float
) -> None:
    rows = references(40, longest=40)
    spec = spec_of(sampling=Sampling(temperature))
    expected = made(build(kind), rows, spec, "sequential", batch_size=16)
    assert made(build(kind).cuda(), rows, spec, engine, batch_size=16) == expected


@pytest.mark.parametrize("engine", ["sequential", "speculative"])
@pytest.mark.parametrize("sampling", [Sampling(), Sampling(1.0)])
def test_free_generation_writes_what_the_cpu_writes(
    engine: str, sampling: Sampling
) -> None:
    prompts = test_free.prompts(40)
    expected = test_free.run(build("llama"), prompts, sampling=sampling)
    found = test_free.run(
        build("llama").cuda(), prompts, sampling=sampling, engine=engine, batch_size=16
    )
    assert found == expected


def test_generation_goes_on_when_memory_is_short(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The device really refuses: the process may have only what a small batch needs."""
    model = shapes.build("pythia-1b").to(device="cuda", dtype=torch.bfloat16)
    vocabulary = model.config.vocab_size
    rows = random_rows(1, 1024, 1536, vocabulary)
    prompts = [Prompt(r["id"], 0, r["input_ids"]) for r in rows]
    held = torch.cuda.memory_allocated() + 6 * 2**30
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(held / total)
    try:
        with caplog.at_level(logging.WARNING):
            found = test_free.run(
                model,
                prompts,
                max_new_tokens=4,
                batch_size=1024,
                engine="sequential",
            )
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert len(found) == 1024
    assert "out of memory: going on with batches of" in caplog.text


# Training.


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_training_has_the_losses_of_the_cpu(objective: str) -> None:
    _, on_cpu = fit(objective, Device("cpu", "fp32"))
    _, on_gpu = fit(objective, CUDA)
    assert on_gpu.device == "cuda"
    assert on_gpu.curve[-1]["loss"] != pytest.approx(on_gpu.curve[0]["loss"], rel=1e-3)
    for a, b in zip(on_cpu.curve, on_gpu.curve, strict=True):
        assert b["loss"] == pytest.approx(a["loss"], rel=2e-4), a["step"]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_bf16_has_the_losses_of_fp32(objective: str) -> None:
    """To the rounding of bf16, which has 8 bits: at the first step, where the weights are
    the same; later ones show that training goes the same way."""
    _, exact = fit(objective, CUDA)
    _, rounded = fit(objective, Device("cuda", "bf16"))
    pairs = zip(exact.curve, rounded.curve, strict=True)
    apart = [abs(b["loss"] - a["loss"]) / abs(a["loss"]) for a, b in pairs]
    first, last = apart[0], apart[-1]
    assert first < 2e-2
    assert last < 1e-1


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_resumed_equals_uninterrupted(objective: str, tmp_path: Path) -> None:
    expected, outcome = fit(objective, CUDA)

    def interrupt(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(
            objective,
            CUDA,
            scratch=tmp_path,
            checkpoint_minutes=0,
            progress=interrupt,
        )
    resumed, again = fit(objective, CUDA, scratch=tmp_path)
    assert_same(expected, resumed, rtol=0, atol=0)
    losses = [point["loss"] for point in outcome.curve]
    assert [point["loss"] for point in again.curve] == losses


def test_training_goes_on_when_memory_is_short(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The device really refuses 64k tokens a pass, and half as many until they fit; the
    losses are those of small passes from the start."""
    rows = random_rows(2, 64, 1024, 50304)
    spec = altered(SPEC, device=Device("cuda", "bf16"), learning_rate=1e-5)

    def losses(**how: Any) -> list[float]:
        AcceleratorState._reset_state(reset_partial_state=True)
        model = shapes.build("pythia-1b")
        _, outcome = causal.train(model, rows, spec, **how)
        return [point["loss"] for point in outcome.curve]

    expected = losses(micro_batch_tokens=4096)
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(40 * 2**30 / total)
    try:
        with caplog.at_level(logging.WARNING):
            found = losses(micro_batch_tokens=65536)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert "out of memory: going on with 32768 tokens a forward pass" in caplog.text
    assert found == pytest.approx(expected, rel=5e-3)


# Where to compute.


def test_auto_takes_the_gpu_and_says_its_memory() -> None:
    with torch.device("meta"):
        config = AutoConfig.for_model("llama", hidden_size=512, num_hidden_layers=1)
        large = AutoModelForCausalLM.from_config(config)
    assert place(Device(), large) == ("cuda", "bf16")
    torch.ones(2**28, device="cuda")
    assert 1024 <= peak_memory_mb() < 2**18


def test_the_instrument_finds_what_it_finds_on_the_cpu(tmp_path: Path) -> None:
    """All its numbers: answers are drawn alike, and read in fp32."""
    folder, oracle = tiny(tmp_path / "model"), tiny(tmp_path / "oracle", hidden_size=64)
    rows = [{"prompt": f"Number {n}?", "reference": f"It is {n}."} for n in range(12)]
    found = {
        device: selfgen.measure(
            folder,
            None,
            rows,
            oracle=oracle,
            device=device,
            precision="fp32",
            max_answer_tokens=40,
        )
        for device in ("cpu", "cuda")
    }
    values = {
        device: {n.measure.name: n.value.value for n in one.numbers}
        for device, one in found.items()
    }
    assert found["cuda"].about["computed"] == "cuda, float32"
    assert values["cuda"] == pytest.approx(values["cpu"], rel=1e-3, abs=1e-4)

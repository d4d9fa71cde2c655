"""How fast a model trains and writes here, and how often its own tokens differ from
references: measured in seconds on some rows, for ``selfgen new``."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from selfgen.core import memory
from selfgen.core.spec import Device, Sampling
from selfgen.data.examples import Example
from selfgen.data.prompts import PromptSpec, load_tokenizer
from selfgen.generation import engines, free
from selfgen.generation.decoding import Prompt
from selfgen.generation.passes import pass_over
from selfgen.generation.spec import PassSpec
from selfgen.mixing import rows as mixing
from selfgen.models import loading, sizes
from selfgen.training import causal
from selfgen.training.spec import Lora, Optimization, TrainSpec

BETA = 0.25
"""The share of drawn tokens at which ``changed`` is measured."""

STARTUP = 1.0 if sys.platform == "linux" else 12.0
"""Seconds of a job before its model is loaded, at most as a fork, which jobs are on Linux, or
with imports of its own (``bench.start``)."""

BATCH, STEPS, WRITTEN = 8, 3, 16
"""Rows of a training step, steps, and tokens that each row writes."""

LORA = Lora(rank=16, alpha=32)
"""Adapters where there is no memory to train all weights."""


@dataclass(frozen=True)
class Calibration:
    """Tokens a second that are trained and written, seconds of a job before it computes,
    the share of an answer's tokens that BASH changes at ``BETA``, parameters, and whether
    adapters are trained."""

    trained: float
    written: float
    startup: float
    changed: float
    parameters: int
    lora: Lora | None


def calibrate(
    folder: Path, examples: Sequence[Example], prompt: PromptSpec, where: Device
) -> Calibration:
    """Train some steps, write some tokens and mix some answers.

    Raises UserError: a model that cannot be read, trained or asked.
    """
    started = time.perf_counter()
    config = loading.config_of(folder).to_dict()
    parameters = sizes.parameters(config)
    fits = parameters * sizes.TRAINED_BYTES < 0.8 * memory.available()
    lora = None if fits or where.device == "cuda" else LORA
    model, *_ = loading.load_for_generation(folder, where, engines.try_out)
    startup = STARTUP + time.perf_counter() - started
    tokenizer = load_tokenizer(folder)
    some = list(examples[: 4 * BATCH])
    written, seconds = _write(model, tokenizer, some)
    spec = PassSpec(
        kind="forced",
        beta=BETA,
        sampling=Sampling(temperature=1.0),
        seed=0,
        rows=(0, len(some)),
        epochs=1,
        prompt=prompt,
        device=where,
    )
    facts: dict[str, Any] = {}
    list(pass_over(model, tokenizer, some, spec, facts).rows)
    del model
    trained = _train(folder, some, where, lora)
    changed = facts["changed_tokens"] / max(1, facts["generated_tokens"])
    return Calibration(trained, written / seconds, startup, changed, parameters, lora)


def _write(
    model: Any, tokenizer: Any, examples: Sequence[Example]
) -> tuple[int, float]:
    """Tokens, those of the prompts among them, and seconds."""
    prompts = [Prompt(e.id, 0, e.prompt_ids) for e in examples]
    started = time.perf_counter()
    made = free.complete(
        model, tokenizer, prompts, Sampling(), seed=0, max_new_tokens=WRITTEN
    )
    return sum(len(ids) for _, ids in made), time.perf_counter() - started


def _train(
    folder: Path, examples: Sequence[Example], where: Device, lora: Lora | None
) -> float:
    """Tokens a second of the median step."""
    rows = [
        {
            "step": step,
            "id": f"{step}/{number}",
            **mixing.plain(e.prompt_ids, e.answer_ids),
        }
        for step in range(STEPS)
        for number, e in enumerate(
            [examples[(step * BATCH + n) % len(examples)] for n in range(BATCH)]
        )
    ]
    keys = Optimization(learning_rate=1e-6, scheduler="constant", lora=lora)
    spec = TrainSpec(seed=0, optimization=keys, device=where)
    _, outcome = causal.train(loading.load(folder), rows, spec)
    speeds = [point["tokens_per_second"] for point in outcome.curve]
    return median(speeds[1:])

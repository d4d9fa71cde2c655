"""Free-running answers: the engines beside plain ``generate`` in the order of arrival."""

from __future__ import annotations

import functools
import itertools
import math
import operator
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from selfgen.bench.harness import (
    KEPT,
    Apart,
    Contender,
    Timing,
    compare,
    plain_generation,
    table,
)
from selfgen.core.spec import Device, Sampling
from selfgen.data.prompts import answer_text, load_tokenizer
from selfgen.generation import ends, free
from selfgen.generation.decoding import Prompt, left_pad
from selfgen.generation.speculative import STEP_TOKENS
from selfgen.models import loading, probe

GENERATE = "generate, arrival order"
LOOKUP = "generate, prompt lookup"
CONTINUOUS = "generate_batch, continuous batching"
ENGINES = ("sequential", "speculative")
SIBLINGS = "speculative, with siblings"
FLOOR = "prompts alone, read once (floor)"

COPIED = 10
"""Tokens that prompt lookup guesses at once, as many as its author's; it answers one prompt
at a time."""

PAGE = 32
"""Tokens of a page of the cache of continuous batching on a CPU."""


@dataclass(frozen=True)
class Case:
    """Answers of the model in ``weights`` to ``prompts``, whose siblings one contender is
    told."""

    weights: Path
    prompts: Sequence[Prompt]
    max_new_tokens: int
    batch_size: int
    where: Device
    sampling: Sampling


def run(case: Case, repeats: int) -> list[Timing]:
    """Answer with every contender; each notes how many of its answers are those of
    ``generate`` or, where they are sampled, which ours do by addresses, ours those of
    ``sequential``. The last only reads the prompts."""
    device = torch.device(case.where.device)

    def contender(name: str, shown: str, keep: bool) -> Contender:
        return shown, Apart(answer, case, name, device=device, keep=keep)

    contenders = [contender(GENERATE, GENERATE, keep=False)]
    if device.type == "cpu":
        contenders += [contender(GENERATE, f"{GENERATE}, {KEPT}", keep=True)]
    if case.batch_size == 1:
        contenders += [contender(LOOKUP, LOOKUP, keep=False)]
    contenders += [contender(CONTINUOUS, CONTINUOUS, keep=False)]
    told = any(len(prompt.sibling) for prompt in case.prompts)
    engines = [*ENGINES, SIBLINGS] if told else ENGINES
    contenders += [contender(name, name, keep=True) for name in (*engines, FLOOR)]
    shown = {
        "prompts": len(case.prompts),
        "batch": case.batch_size,
        "limit": case.max_new_tokens,
    }
    timings = compare(contenders, shown, 0, repeats, device)
    sampled = case.sampling.temperature > 0
    answers = {timing.name: timing.notes.pop("answers") for timing in timings}
    for timing in timings:
        timing.tokens = timing.notes.pop("tokens")
        first = ENGINES[0] if sampled else GENERATE
        if timing.name != FLOOR and (not sampled or timing.name in engines):
            same = map(operator.eq, answers[timing.name], answers[first])
            timing.notes["same"] = sum(same)
    return timings


def answer(case: Case, name: str) -> dict[str, Any]:
    """The answers of one contender in the order of the prompts, its seconds, and more."""
    is_ours = name in (*ENGINES, SIBLINGS, FLOOR)
    model, _, _ = loading.load_for_generation(
        case.weights, case.where, prepacks=is_ours
    )
    tokenizer = load_tokenizer(case.weights)
    answering: Callable[[Any, Any, Case], dict[str, Any]]
    if name == SIBLINGS:
        answering = functools.partial(with_engine, engine="speculative")
    elif name in ENGINES:
        alone = [replace(prompt, sibling=()) for prompt in case.prompts]
        case = replace(case, prompts=alone)
        answering = functools.partial(with_engine, engine=name)
    elif name == FLOOR:
        answering = with_nothing
    elif name == CONTINUOUS:
        answering = with_continuous_batching
    else:
        more: dict[str, Any] = {}
        if name == LOOKUP:
            more["prompt_lookup_num_tokens"] = COPIED
        answering = functools.partial(with_generate, **more)
    short = replace(case, prompts=case.prompts[:1], max_new_tokens=2, batch_size=1)
    answering(model, tokenizer, short)  # kernels are loaded
    torch.manual_seed(0)  # what transformers samples is the same in each run
    started = time.perf_counter()
    notes = answering(model, tokenizer, case)
    return notes | {"seconds": time.perf_counter() - started}


def with_engine(
    model: Any, tokenizer: Any, case: Case, *, engine: str
) -> dict[str, Any]:
    """``selfgen.generation.free`` by the engine of that name."""
    facts: dict[str, Any] = {}
    made = free.run(
        model,
        tokenizer,
        case.prompts,
        case.sampling,
        seed=0,
        max_new_tokens=case.max_new_tokens,
        batch_size=case.batch_size,
        engine=engine,
        facts=facts,
    )
    rows = {row["id"]: row for row in made}
    answers = [rows[prompt.id]["text"] for prompt in case.prompts]
    tokens = sum(row["tokens"] for row in rows.values())
    return facts | {"tokens": tokens, "answers": answers}


@torch.inference_mode()
def with_nothing(model: Any, tokenizer: Any, case: Case) -> dict[str, Any]:
    """Reads the prompts as our engines do, rows of like length one after the other, without a
    cache: the least that answers can cost."""
    reader = probe.reader(model)
    prompts = sorted((p.prompt_ids for p in case.prompts), key=len)
    for start in range(0, len(prompts), case.batch_size):
        part = prompts[start : start + case.batch_size]
        lengths = [len(row) for row in part]
        ids = torch.tensor([*itertools.chain(*part)], device=model.device)
        states = reader.states(ids, lengths)
        last = torch.tensor(lengths, device=model.device).cumsum(0) - 1
        reader.logits(states[last])
    return {"tokens": 0, "answers": []}


@torch.inference_mode()
def with_generate(
    model: Any, tokenizer: Any, case: Case, **more: Any
) -> dict[str, Any]:
    """transformers' ``generate`` as in its documentation: left padding, EOS; ``more`` of its
    arguments."""
    model.set_attn_implementation("sdpa")
    stops = ends.stops(model, tokenizer)
    banned = ends.banned(model, tokenizer, but=stops)
    rows: list[list[int]] = []
    for i in range(0, len(case.prompts), case.batch_size):
        part = case.prompts[i : i + case.batch_size]
        pad = model.config.pad_token_id or 0
        ids, mask = left_pad([p.prompt_ids for p in part], pad, model.device)
        with plain_generation(model):
            out = model.generate(
                ids,
                attention_mask=mask,
                max_new_tokens=case.max_new_tokens,
                **_choice(case),
                suppress_tokens=banned,
                eos_token_id=sorted(stops),
                pad_token_id=pad,
                **more,
            )
        rows += out[:, ids.shape[1] :].tolist()
    return _answers(rows, tokenizer, stops)


def _answers(
    rows: list[list[int]], tokenizer: Any, stops: frozenset[int]
) -> dict[str, Any]:
    """Texts of rows and their tokens, up to the first that ends one."""
    ends_at = [next((i for i, t in enumerate(r) if t in stops), len(r)) for r in rows]
    rows = [row[: end + 1] for row, end in zip(rows, ends_at, strict=True)]
    texts = [answer_text(tokenizer, row) for row in rows]
    return {"tokens": sum(map(len, rows)), "answers": texts}


def with_continuous_batching(model: Any, tokenizer: Any, case: Case) -> dict[str, Any]:
    """transformers' own refill. It sizes its cache by the memory of a GPU; on a CPU it is
    given what the batch can need, and as many tokens a pass as our engines take."""
    from transformers import ContinuousBatchingConfig, GenerationConfig

    model.set_attn_implementation("sdpa")
    stops = ends.stops(model, tokenizer)
    banned = ends.banned(model, tokenizer, but=stops)
    longest = (
        max(len(prompt.prompt_ids) for prompt in case.prompts) + case.max_new_tokens
    )
    sizes = {
        "page_size": PAGE,
        "num_blocks": case.batch_size * math.ceil(longest / PAGE),
        "max_batch_tokens": STEP_TOKENS["cpu"],
    }
    out = model.generate_batch(
        [list(prompt.prompt_ids) for prompt in case.prompts],
        GenerationConfig(
            max_new_tokens=case.max_new_tokens,
            **_choice(case),
            suppress_tokens=banned,
            eos_token_id=sorted(stops),
            pad_token_id=model.config.pad_token_id or 0,
        ),
        ContinuousBatchingConfig(
            max_requests_per_batch=case.batch_size,
            **({} if model.device.type == "cuda" else sizes),
        ),
    )
    made = [request.generated_tokens for request in out.values()]
    return _answers(made, tokenizer, stops)


def _choice(case: Case) -> dict[str, Any]:
    """How transformers is to choose a token."""
    temperature = case.sampling.temperature
    if temperature == 0:
        return {"do_sample": False}
    return {"do_sample": True, "temperature": temperature, "top_k": 0}


def page(timings: Sequence[Timing]) -> str:
    """Speed beside ``generate``, how many tokens a pass makes, and whether the answers are
    those that they should be."""
    header = (
        *("", "batch", "tokens/s", f"x {GENERATE}", "tokens a pass"),
        *("same answers", "peak MB"),
    )
    plain = {t.case["batch"]: t for t in timings if t.name == GENERATE}
    lines = []
    for timing in timings:
        size, passes = timing.case["batch"], timing.notes.get("passes")
        lines.append(
            (
                timing.name,
                size,
                f"{timing.tokens_per_second:.0f}" if timing.tokens else "",
                f"{_speed(timing, plain[size]):.2f}",
                f"{timing.tokens / passes:.1f}" if passes else "",
                f"{timing.notes['same']} of {timing.case['prompts']}"
                if "same" in timing.notes
                else "",
                f"{timing.memory_mb:.0f}" if timing.memory_mb else "",
            )
        )
    return table(header, lines)


def _speed(timing: Timing, plain: Timing) -> float:
    """Of its tokens over that of ``plain``; of what writes none, by its time alone."""
    if timing.tokens:
        return timing.tokens_per_second / plain.tokens_per_second
    return plain.median / timing.median

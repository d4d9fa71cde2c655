"""Free-running answers: the engines beside plain ``generate`` in the order of arrival."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import torch

from selfgen.bench.harness import Contender, Timing, compare, table
from selfgen.generation import free
from selfgen.generation.decoding import left_pad
from selfgen.specs import Sampling

GENERATE = "generate, arrival order"
ENGINES = ("sequential", "windowed")


def run(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[free.Prompt],
    *,
    max_new_tokens: int,
    batch_size: int,
    repeats: int,
) -> list[Timing]:
    """Greedy answers to ``prompts``; each contender notes how many of its answers are those
    of ``generate``."""

    def engine(name: str) -> Contender:
        def answer() -> dict[str, Any]:
            facts: dict[str, Any] = {}
            made = free.run(
                model,
                tokenizer,
                prompts,
                Sampling(),
                seed=0,
                max_new_tokens=max_new_tokens,
                batch_size=batch_size,
                engine=name,
                facts=facts,
            )
            texts = {row["id"]: row["text"] for row in made}
            return facts | {"answers": [texts[prompt.id] for prompt in prompts]}

        return name, answer

    plain = (
        GENERATE,
        lambda: with_generate(model, tokenizer, prompts, max_new_tokens, batch_size),
    )
    produced = plain[1]()["tokens"]
    case = {"prompts": len(prompts), "batch": batch_size, "limit": max_new_tokens}
    timings = compare(
        [plain, *map(engine, ENGINES)], case, produced, repeats, model.device
    )
    expected = timings[0].notes["answers"]
    for timing in timings:
        answers = timing.notes.pop("answers")
        timing.notes["same"] = sum(map(operator.eq, answers, expected))
    return timings


@torch.inference_mode()
def with_generate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[free.Prompt],
    max_new_tokens: int,
    batch_size: int,
) -> dict[str, Any]:
    """transformers' ``generate`` as in its documentation: left padding, greedy, EOS."""
    model.set_attn_implementation("sdpa")
    eos = tokenizer.eos_token_id
    answers: list[str] = []
    tokens = 0
    for i in range(0, len(prompts), batch_size):
        part = prompts[i : i + batch_size]
        pad = model.config.pad_token_id or 0
        ids, mask = left_pad([p.prompt_ids for p in part], pad, model.device)
        out = model.generate(
            ids,
            attention_mask=mask,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            suppress_tokens=sorted(set(tokenizer.all_special_ids) - {eos}),
            eos_token_id=eos,
            pad_token_id=pad,
        )
        for row in out[:, ids.shape[1] :].tolist():
            row = row[: row.index(eos) + 1] if eos in row else row
            tokens += len(row)
            answers.append(tokenizer.decode(row, skip_special_tokens=True).strip())
    return {"tokens": tokens, "answers": answers}


def page(timings: Sequence[Timing]) -> str:
    """Speed beside ``generate``, and whether the answers are its answers."""
    plain = timings[0]
    header = ("", "tokens/s", f"x {GENERATE}", "passes", "same answers", "peak MB")
    lines = [
        (
            timing.name,
            f"{timing.tokens_per_second:.0f}",
            f"{plain.median / timing.median:.2f}",
            timing.notes.get("passes", ""),
            f"{timing.notes['same']} of {timing.case['prompts']}",
            f"{timing.memory_mb:.0f}" if timing.memory_mb else "",
        )
        for timing in timings
    ]
    return table(header, lines)

"""The forced pass: its engines beside ``generate`` with a logits processor, which is how a
user would force tokens, and beside one teacher-forced pass with the logits of all answer
tokens, as a loss takes them: about the least it can cost.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from selfgen.bench.harness import Contender, Timing, compare, plain_generation, table
from selfgen.core.spec import Sampling
from selfgen.generation import engines
from selfgen.generation.decoding import Request
from selfgen.generation.onepass import OnePass
from selfgen.generation.sampling import Sampler
from selfgen.models import probe

FLOOR = "teacher-forced pass (floor)"
GENERATE = "generate + processor"


@dataclass(frozen=True)
class Case:
    """A batch of rows of ``prompt`` + ``answer`` tokens."""

    beta: float
    batch: int
    prompt: int
    answer: int

    @property
    def shown(self) -> dict[str, Any]:
        return {"beta": self.beta, "batch": self.batch, "T": self.answer}


def cases(
    betas: Sequence[float], batches: Sequence[int], prompt: int, answer: int, long: int
) -> list[Case]:
    """Every beta with every batch; and, at every beta, one row with an answer of ``long``
    tokens (0: without)."""
    grid = [Case(b, size, prompt, answer) for b in betas for size in batches]
    return grid + [Case(b, 1, prompt, long) for b in betas if long]


def rows_of(case: Case, tokens: Sequence[int]) -> list[Request]:
    """Rows cut from running text, at addresses that depend on the case alone."""
    stream = random.Random(0)
    rows = []
    for _ in range(case.batch):
        start = stream.randrange(len(tokens) - case.prompt - case.answer)
        middle, end = start + case.prompt, start + case.prompt + case.answer
        drawn = [t for t in range(case.answer - 1) if stream.random() < case.beta]
        key = stream.getrandbits(62)
        rows.append(
            Request(key, tokens[start:middle], case.answer, tokens[middle:end], drawn)
        )
    return rows


def run(
    model: Any,
    plain: Any,
    case: Case,
    tokens: Sequence[int],
    sampling: Sampling,
    repeats: int,
    names: Sequence[str],
) -> list[Timing]:
    """Time the contenders of one case; ``names`` of engines, in the order of the table.
    ``plain``: the model as a user has it, ``model``: as our steps load it."""
    rows = rows_of(case, tokens)
    sampler = Sampler(sampling)
    answers: dict[str, list[list[int]]] = {}
    contenders: list[Contender] = [
        (GENERATE, partial(with_generate, plain, rows, sampling)),
        *(
            (name, partial(_fill, name, model, rows, sampler, answers))
            for name in names
        ),
        (FLOOR, partial(teacher_forced, plain, rows)),
    ]
    shown = case.shown | {"temperature": sampling.temperature}
    produced = case.batch * case.answer
    timings = compare(contenders, shown, produced, repeats, model.device)
    for timing in timings:
        if timing.name in engines.EXACT and "sequential" in answers:
            pairs = zip(answers[timing.name], answers["sequential"], strict=True)
            timing.notes["differ"] = sum(
                a != b for one, two in pairs for a, b in zip(one, two, strict=True)
            )
    return timings


def _fill(
    name: str,
    model: Any,
    rows: list[Request],
    sampler: Sampler,
    answers: dict[str, list[list[int]]],
) -> dict[str, Any]:
    """One run of an engine; its choice by measurement, if it makes one, included."""
    if name == "onepass":
        engine: engines.Engine = OnePass(probe.reader(model), sampler)
    else:
        engine = engines.make(name, model, sampler, rows, len(rows))
    filled = engines.in_order(engines.fill(engine, rows, len(rows)))
    answers[name] = [tokens for _, tokens in filled]
    return engines.facts(engine)


@torch.inference_mode()
def with_generate(
    model: Any, rows: list[Request], sampling: Sampling
) -> dict[str, Any]:
    """transformers' ``generate`` with a processor that leaves the reference's token alone
    where it is not the model's turn."""
    from transformers import LogitsProcessor, LogitsProcessorList

    model.set_attn_implementation("sdpa")

    prompts = torch.tensor([row.prompt_ids for row in rows], device=model.device)
    given = torch.tensor([row.given for row in rows], device=model.device)
    drawn = torch.zeros_like(given, dtype=torch.bool)
    for line, row in enumerate(rows):
        drawn[line, row.drawn] = True

    class Force(LogitsProcessor):
        def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            t = ids.shape[1] - prompts.shape[1]
            only = torch.full_like(scores, -torch.inf)
            only.scatter_(1, given[:, t : t + 1], 0.0)
            return torch.where(drawn[:, t : t + 1], scores, only)

    greedy = sampling.temperature == 0
    options = {} if greedy else {"temperature": sampling.temperature, "top_k": 0}
    length = given.shape[1]
    with plain_generation(model):
        model.generate(
            prompts,
            attention_mask=torch.ones_like(prompts),
            max_new_tokens=length,
            min_new_tokens=length,
            do_sample=not greedy,
            logits_processor=LogitsProcessorList([Force()]),
            pad_token_id=0,
            **options,
        )
    return {}


@torch.inference_mode()
def teacher_forced(model: Any, rows: list[Request]) -> dict[str, Any]:
    """One forward pass over prompts and references, with all logits of the answers."""
    model.set_attn_implementation("sdpa")
    both = [[*row.prompt_ids, *row.given] for row in rows]
    ids = torch.tensor(both, device=model.device)
    model(input_ids=ids, logits_to_keep=rows[0].limit + 1)
    return {}


def page(timings: Sequence[Timing]) -> str:
    """One row a contender and case: speed, and the ratio to the three yardsticks."""
    header = (
        "engine",
        "T",
        "batch",
        "beta",
        "temperature",
        "tokens/s",
        "x generate",
        "x sequential",
        "x floor's time",
        "forwarded per token",
        "differ from sequential",
        "peak MB",
    )
    lines = []
    for timing in timings:
        beside = {t.name: t for t in timings if t.case == timing.case}
        ratios = (
            f"{beside[name].median / timing.median:.2f}" if name in beside else ""
            for name in (GENERATE, "sequential")
        )
        floor = beside[FLOOR].median
        forwarded = timing.notes.get("forwarded_tokens")
        lines.append(
            (
                f"{timing.name} ({timing.notes['engine']})"
                if timing.name == "auto"
                else timing.name,
                timing.case["T"],
                timing.case["batch"],
                timing.case["beta"],
                timing.case["temperature"],
                f"{timing.tokens_per_second:.0f}",
                *ratios,
                f"{timing.median / floor:.2f}",
                f"{forwarded / timing.tokens:.2f}" if forwarded else "",
                timing.notes.get("differ", ""),
                f"{timing.memory_mb:.0f}" if timing.memory_mb else "",
            )
        )
    return table(header, lines)

"""Benchmarks: questions that are not those of a task."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from selfgen.config.judging import Endpoint, Judge
from selfgen.core.types import Count, Keys, Number, known


class _Benchmark(Keys):
    tasks: list[str] = Field(
        min_length=1, description="The tasks whose models are asked."
    )


class _Judged(_Benchmark):
    judge: str = Field(description="An endpoint, by its name in `judges`.")
    template: str = Field(
        default="{prompt}", description="User message around an instruction."
    )
    max_prompt_tokens: Count = Field(
        default=1024, description="Longer instructions lose words from their end."
    )


class AlpacaEval(_Judged):
    """AlpacaEval 2.0: 805 instructions, against the outputs of GPT-4 turbo. Needs
    `pip install selfgen[judge]`."""

    baseline: str = Field(
        default="alpaca-eval-baseline",
        description="The baseline's outputs, by its name in `files`.",
    )
    gamed: str | None = Field(
        default=None,
        description="The package's `df_gamed.csv`, by its name in `files`: with it there"
        " is a length-controlled win rate.",
    )
    temperature: Annotated[Number, Field(ge=0)] = Field(
        default=0.7, description="Of the answers; 0 is greedy."
    )
    max_new_tokens: Count = Field(default=2048, description="Of an answer.")


class MtBench(_Judged):
    """MT-Bench: 80 questions of two turns, graded 1 to 10; temperatures by category."""

    questions: str = Field(
        default="mt-bench-questions", description="By its name in `files`."
    )
    references: str = Field(
        default="mt-bench-references", description="By its name in `files`."
    )
    prompts: str = Field(
        default="mt-bench-prompts",
        description="The judge's prompts, by their name in `files`.",
    )
    max_new_tokens: Count = Field(default=1024, description="Of an answer.")


class _FewShot(_Benchmark):
    items: Count | None = Field(
        default=None, description="Only the first so many problems; all by default."
    )


class Gsm8k(_FewShot):
    """GSM8K by lm-evaluation-harness, 5 shots, version 3.0 of its task. Needs
    `pip install selfgen[math]`. A model as it was trained is asked by a task whose `dataset`
    is `gsm8k`."""

    train: str = Field(
        default="gsm8k-train",
        description="Where shots are from, by its name in `files`.",
    )
    test: str = Field(default="gsm8k-test", description="By its name in `files`.")


class MinervaMath(_FewShot):
    """MATH by lm-evaluation-harness, the 4 shots of Minerva, version 3.1 of its task. Needs
    `pip install selfgen[math]`. A model as it was trained is asked by a task whose `dataset`
    is `hendrycks-math`."""

    main: str = Field(
        default="math-main",
        description="The problems but 500 of the test split, by its name in `files`.",
    )
    rest: str = Field(
        default="math-500", description="Those 500, by its name in `files`."
    )


Benchmark = AlpacaEval | MtBench | Gsm8k | MinervaMath


def check(
    where: str,
    benchmark: Benchmark,
    judges: dict[str, Judge],
    tasks: dict[str, Any],
) -> None:
    """Raises ValueError where a benchmark names what is not there."""
    for task in benchmark.tasks:
        known(f"{where}.tasks", task, tasks)
    if isinstance(benchmark, _FewShot):
        return
    asked = {n: j for n, j in judges.items() if isinstance(j, Endpoint)}
    known(f"{where}.judge", benchmark.judge, asked)
    if "{prompt}" not in benchmark.template:
        raise ValueError(f"{where}.template: found no {{prompt}}, it must hold one")

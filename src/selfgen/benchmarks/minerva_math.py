"""MATH with the shots of Minerva (Lewkowycz et al. 2022), by lm-evaluation-harness.

An answer is read flexibly by our own reading: the package's second one (``math_verify``)
evaluates what the model wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from selfgen.benchmarks.base import Files, Graded, Rows
from selfgen.core.errors import UserError
from selfgen.data.final_answers import boxed
from selfgen.runtime import limited
from selfgen.tasks import hendrycks_math

SECONDS = 10
"""Most time of one comparison, of which the package takes 5 itself."""


class MinervaMath(Graded):
    """MATH by lm-evaluation-harness, the 4 shots of Minerva, version 3.1 of its task. Needs
    `pip install selfgen[math]`. A model as it was trained is asked by a task whose `dataset`
    is `hendrycks-math`."""

    title, table_title = "MATH with shots", "MATH, 4 shots."
    file_keys = ("main", "rest")
    size, prompt_tokens, reply_tokens = 5000, 1024, 512
    task_file = (
        "minerva_math/minerva_math_algebra.yaml"  # one protocol for all subjects
    )
    note = (
        "Strict: what follows 'Final Answer: The final answer is'. Flexible: the last box,"
        " formula or number. Few-shot prompts of lm-evaluation-harness."
    )

    main: str = Field(
        default="math-main",
        description="The problems but 500 of the test split, by its name in `files`.",
    )
    rest: str = Field(
        default="math-500", description="Those 500, by its name in `files`."
    )

    @staticmethod
    def problems(files: Files) -> tuple[Rows, Rows]:
        rows = hendrycks_math.read([files["main"], files["rest"]])
        return [], [row for row in rows if row["unique_id"].startswith("test/")]

    @staticmethod
    def strict(problem: Mapping[str, Any], reply: str) -> bool:
        """The package's ``exact_match``: the words "Final Answer: ..." as in the shots, then
        sympy on LaTeX with a time limit."""
        called = f"{__name__}:exact_match"
        try:
            return bool(
                limited.call(
                    called, reply, problem["answer"], seconds=SECONDS, easy=EASY
                )
            )
        except limited.TimedOut:
            return False

    @staticmethod
    def gold(problem: Mapping[str, Any]) -> str:
        if answer := boxed(problem["solution"]):
            return answer
        raise UserError(f"MATH: {problem['unique_id']}: its solution has no box")


EASY = (r"Final Answer: The final answer is $\frac12$. I hope it is correct.", "0.5")
"""A reply that is right, and its answer."""

BENCHMARK = MinervaMath


def exact_match(reply: str, answer: str) -> bool:
    """What the package says of a reply, whose time limit needs a main thread."""
    from lm_eval.tasks.minerva_math import utils

    said = utils.normalize_final_answer(utils.get_unnormalized_answer(reply))
    return bool(utils.is_equiv(said, answer))

"""GSM8K with shots, by lm-evaluation-harness."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from selfgen.benchmarks.base import FewShot, Files, Rows
from selfgen.tasks import gsm8k


class Gsm8k(FewShot):
    """GSM8K by lm-evaluation-harness, 5 shots, version 3.0 of its task. Needs
    `pip install selfgen[math]`. A model as it was trained is asked by a task whose `dataset`
    is `gsm8k`."""

    title, table_title = "GSM8K with shots", "GSM8K, 5 shots."
    file_keys = ("train", "test")
    size, prompt_tokens, reply_tokens = 1319, 1024, 256
    task_file = "gsm8k/gsm8k.yaml"
    filters: ClassVar = {"strict-match": "strict", "flexible-extract": "flexible"}
    note = (
        "Strict: the number after '####'. Flexible: the last number. Few-shot prompts of"
        " lm-evaluation-harness."
    )

    train: str = Field(
        default="gsm8k-train",
        description="Where shots are from, by its name in `files`.",
    )
    test: str = Field(default="gsm8k-test", description="By its name in `files`.")

    @staticmethod
    def problems(files: Files) -> tuple[Rows, Rows]:
        return gsm8k.read(files["train"]), gsm8k.read(files["test"])


BENCHMARK = Gsm8k

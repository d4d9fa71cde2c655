"""What the step of answers reads."""

from __future__ import annotations

from dataclasses import dataclass

from selfgen.core.spec import Device, Sampling
from selfgen.data.prompts import PromptSpec


@dataclass(frozen=True)
class AnswersSpec:
    """Free-running answers to held-out prompts.

    ``decoding``: ``direct`` answers the prompt; ``corrected`` is shown the direct answer and
    the correction turn, and answers again. ``backend``: ``vllm``, or none for our own.
    """

    decoding: str
    splits: tuple[str, ...]
    prompt: PromptSpec
    sampling: Sampling
    seed: int
    device: Device
    backend: str = ""

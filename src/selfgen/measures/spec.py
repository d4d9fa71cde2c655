"""What a measurement reads, and what its page shows; importing this is cheap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from selfgen.core.spec import Checked, Device
from selfgen.core.types import Count, Seed
from selfgen.data.prompts import PromptSpec


@dataclass(frozen=True)
class MeasureSpec(Checked):
    """How a model is read on each prompt.

    ``planted``: tokens before a place that are replaced. ``dataset``: whose checker judges
    steps; "" where there is none.
    """

    prompt: PromptSpec
    seed: Seed = 0
    planted: Count = 4
    dataset: str = ""


@dataclass(frozen=True)
class MeasureStep(Checked):
    """What the workflow's step is told: of which records, and where it runs. ``oracle``:
    whether it has the weights of one."""

    measure: MeasureSpec
    split: str
    prompts: Count
    oracle: bool
    device: Device


@dataclass(frozen=True)
class PageSpec(Checked):
    """What the page of a run's measurements shows.

    ``methods`` and ``seeds`` of each file that is read, in order; the first method is held
    against the others. ``about``: what was read, in words.
    """

    methods: tuple[str, ...]
    seeds: tuple[Seed, ...]
    dataset: str
    about: Mapping[str, str]
    confidence: float

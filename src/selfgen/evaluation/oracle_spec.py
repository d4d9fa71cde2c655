"""What the step of errors against an oracle reads."""

from __future__ import annotations

from dataclasses import dataclass

from selfgen.core.spec import Checked, Device, Sampling
from selfgen.core.types import Count, Seed
from selfgen.data.prompts import PromptSpec


@dataclass(frozen=True)
class ExposureSpec(Checked):
    """Step errors of a model against an oracle, after own and after reference tokens.

    ``prompts``: so many records of ``split`` in file order; ``sampling``: of the answers
    that make the free-running contexts; ``length``: to which answers that ended before it
    are run on, too.
    """

    split: str
    prompts: Count
    prompt: PromptSpec
    sampling: Sampling
    length: int
    seed: Seed
    device: Device

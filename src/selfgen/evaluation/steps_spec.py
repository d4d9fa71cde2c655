"""What the step of checked errors reads; importing this is cheap, as of ``specs``."""

from __future__ import annotations

from dataclasses import dataclass

from selfgen.core.spec import Checked, Device
from selfgen.data.prompts import PromptSpec


@dataclass(frozen=True)
class StepsSpec(Checked):
    """Free-running and teacher-forced errors on a split of a data set with a checker."""

    dataset: str
    split: str
    prompt: PromptSpec
    device: Device

"""What the step of held-out losses reads; importing this is cheap, as of ``specs``."""

from __future__ import annotations

from dataclasses import dataclass

from selfgen.core.spec import Checked, Device
from selfgen.core.types import Count, CountFromTwo


@dataclass(frozen=True)
class LossSpec(Checked):
    """So many held-out dialogues (``rows``), in blocks of ``block_tokens``."""

    rows: Count
    block_tokens: CountFromTwo
    device: Device

"""What the step of held-out losses reads; importing this is cheap, as of ``specs``."""

from __future__ import annotations

from dataclasses import dataclass

from selfgen.core.spec import Device


@dataclass(frozen=True)
class LossSpec:
    """So many held-out dialogues (``rows``), in blocks of ``block_tokens``."""

    rows: int
    block_tokens: int
    device: Device

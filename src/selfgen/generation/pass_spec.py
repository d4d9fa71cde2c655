"""What a pass over training records reads."""

from __future__ import annotations

from dataclasses import dataclass

from selfgen.core.spec import Device, Sampling, Steps
from selfgen.data.prompts import PromptSpec
from selfgen.mixing.schedules import Schedule


@dataclass(frozen=True)
class PassSpec:
    """A pass over training records that writes self-generated tokens.

    ``kind``: ``forced`` (left to right on the mixed prefix), ``onepass`` (from the reference
    prefix) or ``free`` (a draft). ``eos``: may the model draw EOS before the reference ends?
    ``span``: length of the runs of drawn positions. ``plain_share``: share of rows that
    are not mixed. ``step_rows`` (rows of an optimiser step), ``steps`` and ``schedule`` say
    in which step a row will stand, where its rate depends on it. ``backend``: of a free
    pass, ``vllm``, or none for our own.
    """

    kind: str
    seed: int
    rows: tuple[int, int]
    epochs: int
    prompt: PromptSpec
    sampling: Sampling
    device: Device
    beta: float = 0.0
    eos: str = "exclude"
    span: int = 1
    plain_share: float = 0.0
    candidates: int = 1
    step_rows: int = 0
    steps: Steps | None = None
    schedule: Schedule | None = None
    backend: str = ""

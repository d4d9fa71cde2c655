"""What passes over training records and answers to held-out prompts read."""

from __future__ import annotations

from dataclasses import dataclass

from selfgen.core.spec import Device, Sampling, Steps
from selfgen.data.prompts import PromptSpec
from selfgen.mixing.schedules import Schedule


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """What a method says of its pass.

    ``kind``: ``forced`` (left to right on the mixed prefix), ``onepass`` (from the reference
    prefix) or ``free`` (a draft). ``beta``: the mixing rate, which ``schedule`` may move over
    the steps. ``eos``: may the model draw EOS before the reference ends? ``span``: length of
    the runs of drawn positions. ``plain_share``: share of rows that are not mixed.
    ``candidates``: answers of an example and epoch.
    """

    kind: str
    sampling: Sampling
    beta: float = 0.0
    schedule: Schedule | None = None
    eos: str = "exclude"
    span: int = 1
    plain_share: float = 0.0
    candidates: int = 1


@dataclass(frozen=True, kw_only=True)
class PassSpec(Drawing):
    """A pass over training records that writes self-generated tokens.

    ``step_rows`` (rows of an optimiser step) and ``steps`` say in which step a row will
    stand, where its rate depends on it. ``backend``: of a free pass, ``vllm``, or none for
    our own.
    """

    seed: int
    rows: tuple[int, int]
    epochs: int
    prompt: PromptSpec
    device: Device
    step_rows: int = 0
    steps: Steps | None = None
    backend: str = ""


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

"""What fine-tuning reads, but for the rows."""

from __future__ import annotations

from dataclasses import dataclass

from selfgen.core.spec import Device, Sampling, Steps
from selfgen.mixing.schedules import Schedule


@dataclass(frozen=True)
class LoraSpec:
    """A low-rank adapter (peft); ``target_modules`` as in peft."""

    rank: int
    alpha: int
    dropout: float
    target_modules: str | tuple[str, ...]


@dataclass(frozen=True)
class Preference:
    """The loss of DPO (Rafailov et al. 2023) and SPIN (Chen et al. 2024) on pairs of rows.

    ``beta`` scales the log-ratios against the starting weights; ``sft_weight`` adds so
    much of the mean cross-entropy of the chosen answers.
    """

    beta: float
    sft_weight: float = 0.0


@dataclass(frozen=True)
class TwoPass:
    """Two-pass scheduled sampling (Mihaylova and Martins 2019), in the training step.

    With probability ``beta`` a context token is the current model's own, chosen from the
    reference prefix by ``sampling``; ``schedule`` moves the rate over the steps.
    """

    beta: float
    sampling: Sampling
    schedule: Schedule | None = None


@dataclass(frozen=True)
class TrainSpec:
    """One fine-tuning run; the steps and their rows come from the rows file.

    ``optimizer`` is ``adamw`` or ``rmsprop``, which reads no betas and no epsilon.
    ``steps``: the rows are these steps of a longer stage, whose learning rates they take.
    """

    seed: int
    learning_rate: float
    scheduler: str
    warmup_ratio: float
    weight_decay: float
    max_grad_norm: float
    adam_betas: tuple[float, float]
    adam_epsilon: float
    device: Device
    lora: LoraSpec | None = None
    steps: Steps | None = None
    preference: Preference | None = None
    two_pass: TwoPass | None = None
    optimizer: str = "adamw"

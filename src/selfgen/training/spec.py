"""What fine-tuning reads, but for the rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from selfgen.core.spec import Checked, Device, Steps
from selfgen.core.types import Count, Keys, Number, Seed, Share
from selfgen.generation.spec import Sampled
from selfgen.mixing.schedules import MixingRate


class Lora(Keys):
    """Low-rank adapters (peft) instead of full fine-tuning; merged when saved."""

    rank: Count = Field(default=16, description="Rank.")
    alpha: Count = Field(default=32, description="Scale numerator.")
    dropout: Share = Field(default=0.0, description="Dropout on the adapter's input.")
    target_modules: str | list[str] = Field(
        default="all-linear", description="As in peft."
    )


class Optimization(Keys):
    """The optimiser, its learning rates, and the weights that it changes."""

    learning_rate: Annotated[Number, Field(gt=0)] = Field(description="Peak rate.")
    optimizer: Literal["adamw", "rmsprop"] = Field(
        default="adamw",
        description="RMSProp as torch has it, as SPIN's authors took it.",
    )
    scheduler: Literal["cosine", "linear", "constant", "constant_with_warmup"] = Field(
        default="cosine", description="As in transformers."
    )
    warmup_ratio: Share = Field(default=0.1, description="Share of steps to warm up.")
    weight_decay: Annotated[Number, Field(ge=0)] = Field(
        default=0.0, description="Of the optimizer: decoupled in AdamW alone."
    )
    max_grad_norm: Annotated[Number, Field(gt=0)] = Field(
        default=1.0, description="Gradient clipping."
    )
    adam_betas: list[Share] = Field(
        default=[0.9, 0.999], min_length=2, max_length=2, description="AdamW."
    )
    adam_epsilon: Annotated[Number, Field(gt=0)] = Field(
        default=1e-8, description="AdamW."
    )
    loss_mean: Literal["token", "row"] = Field(
        default="token",
        description="A step's loss is the mean over its labelled tokens, or over its rows,"
        " each the mean over its own: then a token of a short answer weighs more.",
    )
    label_smoothing: Annotated[Number, Field(ge=0, lt=1)] = Field(
        default=0.0,
        description="Share of each label that is spread evenly over the vocabulary, as in"
        " torch's `cross_entropy`: a plain regulariser to hold others against.",
    )
    lora: Lora | None = Field(default=None, description="Adapters; null: all weights.")


NOT_OF_PAIRS: dict[str, Any] = {"loss_mean": "token", "label_smoothing": 0.0}
"""Keys of ``Optimization`` that the loss of pairs does not read, with their only value."""


class Preference(Keys):
    """The loss of DPO (Rafailov et al. 2023) and SPIN (Chen et al. 2024) on pairs of rows:
    log-ratios against the starting weights."""

    beta: Annotated[Number, Field(gt=0)] = Field(
        default=0.1, description="Scale of the log-ratios, as in DPO."
    )
    sft_weight: Annotated[Number, Field(ge=0)] = Field(
        default=0.0, description="Weight of the cross-entropy of the chosen answer."
    )


class TwoPass(MixingRate):
    """Two-pass scheduled sampling (Mihaylova and Martins 2019), in the training step: with
    probability ``beta`` a context token is the current model's own, chosen from the
    reference prefix."""

    temperature: Annotated[Number, Field(ge=0)] = Field(
        default=1.0, description="Of the self-generated tokens; 0 is greedy."
    )


class Online(MixingRate, Sampled):
    """Online scheduled sampling: the rows of BASH, drawn left to right by the model that is
    being trained, just before they are trained on."""

    module: ClassVar[str] = "selfgen.training.online"

    eos: Literal["exclude", "keep"] = Field(
        default="exclude", description="May the model draw EOS before the end?"
    )
    every: Count = Field(
        default=1,
        description="Rows are drawn every so many optimiser steps, for all of them at once.",
    )


class Own(Keys):
    """A loss of the user's own in the place of the cross-entropy: docs/own-method.md."""

    module: ClassVar[str] = "selfgen.training.own"

    loss_function: str | None = Field(
        default=None,
        pattern=r"^([^:]+\.py|\w+(\.\w+)*):\w+$",
        description="A loss of yours, `FILE.py:NAME` as `function`, or `package.module:NAME`"
        " of an installed package; null: the cross-entropy of the labels.",
    )


LOSSES: dict[
    str, type[Preference] | type[TwoPass] | type[Online] | type[Own] | None
] = {
    "labels": None,
    "pairs": Preference,
    "two-pass": TwoPass,
    "online": Online,
    "own": Own,
}
"""The keys of each loss by its name; the cross-entropy of the labels has none."""


def modules(loss: type[Any] | None) -> tuple[str, ...]:
    """Modules that are code of the trainings by a loss alone, by the class of its keys: what
    generates is no code of a training that does not."""
    return (loss.module,) if loss in (Online, Own) else ()


@dataclass(frozen=True, kw_only=True)
class TrainSpec(Checked):
    """One fine-tuning run; the steps and their rows come from the rows file.

    ``steps``: the rows are these steps of a longer stage, whose learning rates they take.
    ``loss``: None is the cross-entropy of the labels.
    """

    seed: Seed
    optimization: Optimization
    device: Device
    steps: Steps | None = None
    loss: Preference | TwoPass | Online | Own | None = None

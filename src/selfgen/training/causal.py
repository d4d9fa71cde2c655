"""Fine-tuning of a causal LM on ordered rows: one loop on ``accelerate``.

The rows file fixes which rows make which optimiser step; this loop never shuffles. The loss
of a step is the mean cross-entropy over all labelled tokens of the step, however the step is
cut into micro-batches, and the vocabulary projection is computed only where labels are.
"""

from __future__ import annotations

import logging
import math
import os
import time
import warnings
from collections.abc import Callable, Collection, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from selfgen.core import memory
from selfgen.core.errors import UserError
from selfgen.core.spec import Steps, at_least, instance, to_json
from selfgen.models import finite, probe, sizes
from selfgen.models.loading import place
from selfgen.models.reader import base_of
from selfgen.training.batches import (
    IGNORE,
    Passes,
    TrainingRow,
    collate,
    labelled,
    steps_of,
)
from selfgen.training.labels import LabelLoss
from selfgen.training.preference import PairLoss
from selfgen.training.spec import (
    NOT_OF_PAIRS,
    Lora,
    Online,
    Optimization,
    Own,
    Preference,
    TrainSpec,
    TwoPass,
)
from selfgen.training.state import Checkpoints, Outcome
from selfgen.training.trackers import NO_TRACKERS, Trackers
from selfgen.training.two_pass import TwoPassLoss
from selfgen.training.update import Update, cure

__all__ = ["IGNORE", "LabelLoss", "Outcome", "collate", "labelled", "train"]

log = logging.getLogger(__name__)

MICRO_BATCH_TOKENS = {"cpu": 2048, "mps": 4096, "cuda": 16384}
"""Tokens of one forward pass; changes memory and speed, never the global batch."""


def train(
    model: Any,
    rows: Iterable[TrainingRow] | Path,
    spec: TrainSpec,
    *,
    banned: Sequence[int] = (),
    stops: Collection[int] = (),
    scratch: Path | None = None,
    checkpoint_minutes: float = 10.0,
    micro_batch_tokens: int | None = None,
    compile: bool = False,
    progress: Callable[[int, int], None] | None = None,
    after_step: Callable[[int], bool] | None = None,
    loss_function: Callable[..., torch.Tensor] | None = None,
    trackers: Trackers = NO_TRACKERS,
) -> tuple[Any, Outcome]:
    """Fine-tune ``model`` on ``rows``; returns the trained model and what was done.

    Args:
        rows: ``step, id, input_ids, labels`` in training order, or a Parquet file of them;
            with another loss than that of the labels also ``epoch``, and on pairs
            ``role``.
        banned: token ids that the model never draws while it trains.
        stops: those of them that end an answer.
        scratch: folder for resumable state; what is found there is continued bit for bit.
        micro_batch_tokens: tokens of one forward pass (none, or 0: by device).
        compile: compile the layers (``torch.compile``): a minute more at the start,
            then faster on a GPU; on a CPU it was slower (docs/reference/bench).
        progress: called with (steps done, steps in all).
        after_step: called with the steps done; training ends when it returns True.
        loss_function: in the place of the cross-entropy (``training.own:Loss``).
        trackers: that are told the curve, point by point.

    Of several processes that a launcher started each trains on a part of every step. Where
    its configuration says FSDP they share the weights (profiles/launch), and only the
    first is given the trained model as a whole.

    Raises:
        UserError: rows out of order, steps that are not those of ``spec.steps``, no
            labelled token in a step, an incomplete pair, tokens that the model does not
            have, a loss, a gradient, weights or a state of the optimiser that are not
            finite after a step (named with its row ids and the keys to change), the state
            of another spec in ``scratch``, or shared weights with what needs them whole.
    """
    from accelerate.utils import set_seed

    instance("spec", spec, TrainSpec)
    if micro_batch_tokens is not None:
        at_least("micro_batch_tokens", micro_batch_tokens, 0)
    set_seed(spec.seed)
    probe.is_model(model)
    device, precision = place(spec.device, model)
    accelerator = _accelerator(device, precision, trackers)
    sharded = accelerator.is_fsdp2
    lora = spec.optimization.lora
    if sharded and (lora or isinstance(spec.loss, TwoPass | Online)):
        raise UserError(
            "training: found FSDP with lora, two-pass or online, which need the weights"
            " whole; allowed: a launch configuration that does not shard"
        )
    steps = steps_of(rows, spec.steps)
    part = spec.steps or Steps(0, len(steps), len(steps))
    if lora:
        model = _adapt(model, lora)
    model.train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    _check(model, parameters)
    optimizer, scheduler = _optimizer(parameters, spec.optimization, part, device)
    if not sharded:  # so that it is tried where it will be trained
        model.to(accelerator.device)
        probe.reader(model, gradients=True)  # in fp32, then as it will be trained
    with accelerator.autocast():
        objective = _objective(model, spec, part.total, banned, stops, loss_function)
    alike = objective.reader.alike
    if sharded and (objective.reader.way == "whole" or alike):
        raise UserError(
            f"training: found FSDP with {probe.name_of(model)}, whose rows are read one by"
            " one; allowed: a launch configuration that does not shard"
        )
    if compile:
        _compile(model)
    wrapped, optimizer = accelerator.prepare(objective, optimizer)
    accelerator.register_for_checkpointing(scheduler)
    passes = Passes(
        wrapped,
        micro_batch_tokens or MICRO_BATCH_TOKENS[device],
        accelerator.process_index,
        accelerator.num_processes,
        share=sharded,
    )
    log.info(
        "%d rows in the first step, shared by %d processes",
        len(steps[0]) if steps else 0,
        passes.processes,
    )
    started = time.perf_counter()
    # Before a checkpoint is loaded: it reads the weights as they are at the start.
    forwarded = objective.begin(steps, passes, accelerator)
    seconds = time.perf_counter() - started
    state = Checkpoints(accelerator, scratch, checkpoint_minutes, to_json(spec))
    outcome = state.restore() or Outcome(forwarded_tokens=forwarded, seconds=seconds)
    outcome.device, outcome.precision = device, precision
    outcome.read = objective.reader.way
    outcome.processes, outcome.sharded = accelerator.num_processes, sharded
    trackers.begin(accelerator, spec)
    update = Update(
        accelerator,
        objective,
        passes,
        optimizer,
        scheduler,
        spec.optimization,
        precision,
    )
    for done in range(outcome.steps, len(steps)):
        started = time.perf_counter()
        number = part.first + done
        batch = objective.at_step(steps[done], number)
        point = update(batch, number)
        drawing = objective.spent()
        seconds = time.perf_counter() - started
        seconds -= drawing.get("generation_seconds", 0.0)
        outcome.add(point, batch, objective.forwarded(batch), seconds, drawing)
        trackers.log(accelerator, outcome.curve[-1])
        if progress:
            progress(outcome.steps, len(steps))
        state.save(outcome)
        if after_step and after_step(outcome.steps):
            break
    trackers.end(accelerator)
    if sharded:
        return _whole(accelerator, wrapped), outcome
    model = accelerator.unwrap_model(wrapped).model
    if lora:
        model = model.merge_and_unload()
        # Of finite adapters, products may be none.
        if said := finite.broken(model):
            keys = cure(spec.optimization, precision)
            raise UserError(f"training: with the adapters merged, {said}; {keys}")
    return model, outcome


def _check(model: Any, parameters: Sequence[torch.nn.Parameter]) -> None:
    """Raises UserError where nothing would be trained, or by another loss."""
    config = base_of(model).config.get_text_config(decoder=True)
    if getattr(config, "output_router_logits", False):
        raise UserError(
            f"training: the configuration of {probe.name_of(model)} says"
            " output_router_logits, by which transformers adds a loss of its routers;"
            " allowed: false, for the loss is that of the labels alone"
        )
    if not parameters:
        raise UserError("training: no parameter of the model requires a gradient")


def _accelerator(device: str, precision: str, trackers: Trackers) -> Any:
    from accelerate import Accelerator
    from accelerate.utils import FullyShardedDataParallelPlugin

    plugin = None
    if os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true":
        from torch.distributed.fsdp import MixedPrecisionPolicy

        # Weights in fp32 under autocast, as everywhere: accelerate's own policy would also
        # cast what goes in and the loss that comes out.
        policy = MixedPrecisionPolicy(cast_forward_inputs=False)
        plugin = FullyShardedDataParallelPlugin(mixed_precision_policy=policy)
        if plugin.fsdp_version != 2:
            raise UserError(
                f"launch: fsdp_version: found {plugin.fsdp_version}, allowed: 2"
            )
    return Accelerator(
        cpu=device == "cpu",
        mixed_precision="bf16" if precision == "bf16" else "no",
        fsdp_plugin=plugin,
        **trackers.arguments(),
    )


def _whole(accelerator: Any, wrapped: Any) -> Any:
    """The model whose weights the processes share, as one on the CPU of the first."""
    from transformers.initialization import no_init_weights

    weights = accelerator.get_state_dict(wrapped)
    model = accelerator.unwrap_model(wrapped).model
    if not accelerator.is_main_process:
        return model
    with no_init_weights():
        whole = type(model)(model.config)
    named = {name.removeprefix("model."): value for name, value in weights.items()}
    whole.load_state_dict(named, assign=True)
    whole.tie_weights()
    return whole


def _objective(
    model: Any,
    spec: TrainSpec,
    total: int,
    banned: Sequence[int],
    stops: Collection[int],
    function: Callable[..., torch.Tensor] | None,
) -> LabelLoss:
    """What a spec minimises; ``total``: steps of the stage."""
    keys = spec.optimization
    if function:
        if not isinstance(spec.loss, Own | None) or keys.label_smoothing:
            raise UserError(
                "training: found a loss of its own with another or with label_smoothing,"
                " which it would not read; allowed: one of them"
            )
        # By no statement, so that it is code of these trainings alone (``spec.modules``).
        own = import_module(Own.module).OwnLoss
        return own(model, function, keys.loss_mean)
    if isinstance(spec.loss, Own) and spec.loss.loss_function:
        raise UserError(
            f"training: found the address {spec.loss.loss_function} without its function;"
            " allowed: loss_function=selfgen.core.own_code.function(...)"
        )
    if isinstance(spec.loss, Preference):
        for key, only in NOT_OF_PAIRS.items():
            if (given := getattr(keys, key)) != only:
                raise UserError(
                    f"training: found {key} {given} with pairs, whose loss is a mean over"
                    f" pairs; allowed: {only}"
                )
        return PairLoss(model, spec.loss)
    mean, smoothing = keys.loss_mean, keys.label_smoothing
    if isinstance(spec.loss, TwoPass):
        return TwoPassLoss(model, spec.loss, spec.seed, total, banned, mean, smoothing)
    if isinstance(spec.loss, Online):
        online = import_module(Online.module).OnlineLoss
        return online(
            model, spec.loss, spec.seed, total, banned, stops, mean, smoothing
        )
    return LabelLoss(model, mean, smoothing)


def _optimizer(
    parameters: list[torch.nn.Parameter], spec: Optimization, part: Steps, device: str
) -> tuple[Any, Any]:
    """A fresh optimiser, and the learning rates of the whole stage from ``part.first`` on."""
    from transformers import get_scheduler

    common: dict[str, Any] = {
        "lr": spec.learning_rate,
        "weight_decay": spec.weight_decay,
    }
    if spec.optimizer == "rmsprop":
        # Its other numbers are torch's, as transformers' Trainer leaves them.
        optimizer: torch.optim.Optimizer = torch.optim.RMSprop(parameters, **common)
    else:
        optimizer = torch.optim.AdamW(
            parameters,
            betas=(spec.adam_betas[0], spec.adam_betas[1]),
            eps=spec.adam_epsilon,
            fused=device != "mps",
            **common,
        )
    scheduler = get_scheduler(
        spec.scheduler,
        optimizer,
        num_warmup_steps=math.ceil(spec.warmup_ratio * part.total),
        num_training_steps=part.total,
    )
    with warnings.catch_warnings():
        # torch warns of a rate that no step has used; those steps are of earlier rounds.
        warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")
        for _ in range(part.first):
            scheduler.step()
    return optimizer, scheduler


def _compile(model: Any) -> None:
    """Compile every layer by itself: they are alike, so it is quick. Attention, whose
    layout changes from batch to batch, stays outside."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    for layer in model.modules():
        if isinstance(layer, GradientCheckpointingLayer):
            layer.compile(dynamic=True)


def _adapt(model: Any, lora: Lora) -> Any:
    from peft import LoraConfig, get_peft_model

    size = sizes.lora_bytes(base_of(model).config.to_dict(), lora.rank)
    memory.ask("lora.rank", f"adapters of rank {lora.rank}", size, "lower it")
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.target_modules,
    )
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        said = " ".join(str(error).split())[:200]
        raise UserError(f"lora: found {lora.target_modules!r}: {said}") from error

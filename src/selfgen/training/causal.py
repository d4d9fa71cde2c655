"""Fine-tuning of a causal LM on ordered rows: one loop on ``accelerate``.

The rows file fixes which rows make which optimiser step; this loop never shuffles. The loss
of a step is the mean cross-entropy over all labelled tokens of the step, however the step is
cut into micro-batches, and the vocabulary projection is computed only where labels are.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from selfgen import attention
from selfgen.models import decoder, place
from selfgen.specs import TrainSpec, UserError

log = logging.getLogger(__name__)

IGNORE = -100
"""A label that is not trained on, as in transformers."""

MICRO_BATCH_TOKENS = {"cpu": 2048, "mps": 4096, "cuda": 16384}
"""Tokens of one forward pass; changes memory and speed, never the global batch."""

Row = dict[str, Any]


class LabelLoss(torch.nn.Module):
    """A causal LM with its loss: summed cross-entropy at the labelled positions.

    ``input_ids`` [tokens]: rows of ``lengths`` one after the other, not padded. The state
    at ``before[i]`` is asked for ``labels[i]``. A model that cannot read rows so is given
    them padded on the right, where a causal model needs no mask.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.flat = attention.use(model)

    def forward(
        self,
        input_ids: torch.Tensor,
        before: torch.Tensor,
        labels: torch.Tensor,
        lengths: list[int],
    ) -> torch.Tensor:
        if self.flat:
            layout = attention.Packed(lengths, input_ids.device)
            states = attention.forward_flat(
                decoder(self.model), input_ids, layout.positions, layout
            )
        else:
            padded = torch.nn.utils.rnn.pad_sequence(
                input_ids.split(lengths), batch_first=True
            )
            rows = decoder(self.model)(input_ids=padded, use_cache=False)[0]
            states = torch.cat(
                [row[:length] for row, length in zip(rows, lengths, strict=True)]
            )
        logits = self.model.get_output_embeddings()(states[before])
        return torch.nn.functional.cross_entropy(
            logits.float(), labels, reduction="sum"
        )


@dataclass
class Outcome:
    """What a run did: the curve and the totals that the tables report."""

    steps: int = 0
    labelled_tokens: int = 0
    forwarded_tokens: int = 0
    seconds: float = 0.0
    device: str = ""
    precision: str = ""
    curve: list[dict[str, float]] = field(default_factory=list)


def steps_of(rows: Iterable[Row]) -> list[list[Row]]:
    """The rows of each optimiser step; the ``step`` column must count 0, 1, 2, ..."""
    steps: list[list[Row]] = []
    for row in rows:
        if row["step"] == len(steps):
            steps.append([])
        if not steps or row["step"] != len(steps) - 1:
            raise UserError(
                f"rows: step {row['step']} of row {row['id']} is out of order"
            )
        steps[-1].append(row)
    return steps


def micro_batches(rows: list[Row], tokens: int) -> Iterator[list[Row]]:
    """The rows of a step in runs of similar length, each of at most ``tokens`` tokens (one
    row, if that alone is longer)."""
    ordered = sorted(rows, key=lambda row: (len(row["input_ids"]), row["id"]))
    batch: list[Row] = []
    size = 0
    for row in ordered:
        if batch and size + len(row["input_ids"]) > tokens:
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += len(row["input_ids"])
    yield batch


def collate(rows: list[Row], device: Any) -> dict[str, Any]:
    """A micro-batch as ``LabelLoss`` takes it. Labels are unshifted in the rows, as in
    transformers: the state at position t - 1 is asked for ``labels[t]``."""
    ids, before, labels = [], [], []
    for row in rows:
        for t, label in enumerate(row["labels"][1:], 1):
            if label != IGNORE:
                before.append(len(ids) + t - 1)
                labels.append(label)
        ids += row["input_ids"]
    asked = torch.tensor([before, labels], dtype=torch.long).to(device)
    return {
        "input_ids": torch.tensor(ids, dtype=torch.long).to(device),
        "before": asked[0],
        "labels": asked[1],
        "lengths": [len(row["input_ids"]) for row in rows],
    }


def labelled(rows: list[Row]) -> int:
    """Labelled tokens of some rows; the first position can carry none."""
    return sum(label != IGNORE for row in rows for label in row["labels"][1:])


def train(
    model: Any,
    rows: Iterable[Row],
    spec: TrainSpec,
    *,
    scratch: Path | None = None,
    checkpoint_minutes: float = 10.0,
    micro_batch_tokens: int | None = None,
    compile: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Any, Outcome]:
    """Fine-tune ``model`` on ``rows``; returns the trained model and what was done.

    Args:
        rows: ``step, id, input_ids, labels`` in training order.
        scratch: folder for resumable state; what is found there is continued bit for bit.
        micro_batch_tokens: tokens of one forward pass (default: by device).
        compile: compile the layers (``torch.compile``): a minute more at the start,
            then faster on a GPU; on a CPU it was slower (docs/reference/bench).
        progress: called with (steps done, steps in all).

    Raises:
        UserError: rows out of order, no labelled token in a step, or a loss that is not
            finite (named with its step and row ids).
    """
    from accelerate import Accelerator
    from accelerate.utils import set_seed
    from transformers import get_scheduler

    set_seed(spec.seed)
    device, precision = place(spec.device, model.num_parameters())
    accelerator = Accelerator(
        cpu=device == "cpu", mixed_precision="bf16" if precision == "bf16" else "no"
    )
    steps = steps_of(rows)
    if spec.lora:
        model = _adapt(model, spec)
    model.train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters,
        lr=spec.learning_rate,
        betas=spec.adam_betas,
        eps=spec.adam_epsilon,
        weight_decay=spec.weight_decay,
        fused=device != "mps",
    )
    scheduler = get_scheduler(
        spec.scheduler,
        optimizer,
        num_warmup_steps=math.ceil(spec.warmup_ratio * len(steps)),
        num_training_steps=len(steps),
    )
    if compile:
        _compile(model)
    wrapped, optimizer = accelerator.prepare(LabelLoss(model), optimizer)
    accelerator.register_for_checkpointing(scheduler)
    state = Checkpoints(accelerator, scratch, checkpoint_minutes)
    outcome = state.restore()
    outcome.device, outcome.precision = device, precision
    size = micro_batch_tokens or MICRO_BATCH_TOKENS[device]
    for number in range(outcome.steps, len(steps)):
        started = time.perf_counter()
        batch = steps[number]
        total = labelled(batch)
        if total == 0:
            raise UserError(f"rows: step {number} has no labelled token")
        loss_sum, size = _backward(wrapped, accelerator, batch, size)
        if not math.isfinite(loss_sum):
            raise UserError(
                f"training: the loss of step {number} is {loss_sum};"
                f" its rows are {', '.join(row['id'] for row in batch)}"
            )
        norm = accelerator.clip_grad_norm_(parameters, spec.max_grad_norm)
        rate = scheduler.get_last_lr()[0]
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad(set_to_none=True)
        forwarded = sum(len(row["input_ids"]) for row in batch)
        seconds = time.perf_counter() - started
        outcome.steps = number + 1
        outcome.labelled_tokens += total
        outcome.forwarded_tokens += forwarded
        outcome.seconds += seconds
        outcome.curve.append(
            {
                "step": number,
                "loss": loss_sum / total,
                "learning_rate": rate,
                "grad_norm": float(norm),
                "tokens_per_second": round(forwarded / seconds, 1),
            }
        )
        if progress:
            progress(outcome.steps, len(steps))
        state.save(outcome)
    model = accelerator.unwrap_model(wrapped).model
    return (model.merge_and_unload() if spec.lora else model), outcome


def _backward(
    wrapped: Any, accelerator: Any, batch: list[Row], size: int
) -> tuple[float, int]:
    """Gradients of the mean loss of a step: ``(summed loss, tokens of a forward pass)``.

    When the device runs out of memory, the step begins again with half as many tokens a
    forward pass, which changes no gradient; a single row that does not fit is an error.
    """
    from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

    total, longest = labelled(batch), max(len(row["input_ids"]) for row in batch)
    while True:
        try:
            loss_sum = torch.zeros((), device=accelerator.device)
            for micro in micro_batches(batch, size):
                with accelerator.autocast():
                    loss = wrapped(**collate(micro, accelerator.device))
                loss_sum += loss.detach()
                accelerator.backward(loss / total)
            return loss_sum.item(), size
        except RuntimeError as error:
            if size <= longest or not should_reduce_batch_size(error):
                raise
        wrapped.zero_grad(set_to_none=True)
        clear_device_cache(garbage_collection=True)
        size //= 2
        log.warning("out of memory: going on with %d tokens a forward pass", size)


def _compile(model: Any) -> None:
    """Compile every layer by itself: they are alike, so it is quick. Attention, whose
    layout changes from batch to batch, stays outside."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    for layer in decoder(model).modules():
        if isinstance(layer, GradientCheckpointingLayer):
            layer.compile(dynamic=True)


def _adapt(model: Any, spec: TrainSpec) -> Any:
    from peft import LoraConfig, get_peft_model

    modules = spec.lora.target_modules
    return get_peft_model(
        model,
        LoraConfig(
            task_type="CAUSAL_LM",
            r=spec.lora.rank,
            lora_alpha=spec.lora.alpha,
            lora_dropout=spec.lora.dropout,
            target_modules=modules if isinstance(modules, str) else list(modules),
        ),
    )


class Checkpoints:
    """Resumable state in a scratch folder: complete or absent, the newest only."""

    def __init__(self, accelerator: Any, folder: Path | None, minutes: float) -> None:
        self.accelerator = accelerator
        self.folder = folder
        self.seconds = minutes * 60
        self.last = time.monotonic()

    def restore(self) -> Outcome:
        """Load the newest complete checkpoint, or start from nothing."""
        found = sorted(self.folder.glob("step-*")) if self.folder else []
        found = [path for path in found if path.suffix != ".tmp"]
        if not found:
            return Outcome()
        self.accelerator.load_state(str(found[-1]))
        outcome = Outcome(**json.loads((found[-1] / "outcome.json").read_text()))
        log.info("resumed after step %d", outcome.steps)
        return outcome

    def save(self, outcome: Outcome) -> None:
        """Write a checkpoint if the last one is old enough."""
        if not self.folder or time.monotonic() - self.last < self.seconds:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        final = self.folder / f"step-{outcome.steps:08d}"
        partial = final.with_suffix(".tmp")
        shutil.rmtree(partial, ignore_errors=True)
        self.accelerator.save_state(str(partial))
        (partial / "outcome.json").write_text(json.dumps(outcome.__dict__))
        partial.rename(final)
        for old in self.folder.glob("step-*"):
            if old != final:
                shutil.rmtree(old, ignore_errors=True)
        self.last = time.monotonic()

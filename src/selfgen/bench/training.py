"""Fine-tuning: the loop of this package beside TRL's SFTTrainer, and beside its DPOTrainer
where the rows are pairs, on the same rows."""

from __future__ import annotations

import importlib.util
import logging
import random
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from selfgen.bench.harness import KEPT, Apart, Contender, Run, Timing, compare, table
from selfgen.core.errors import UserError
from selfgen.core.spec import Device
from selfgen.data.prompts import load_tokenizer
from selfgen.models import loading
from selfgen.training import causal
from selfgen.training.preference import CHOSEN, REJECTED
from selfgen.training.spec import Optimization, Preference, TrainSpec

log = logging.getLogger(__name__)

TRL = {False: "TRL SFTTrainer", True: "TRL DPOTrainer"}
"""By whether the rows are pairs."""

TOLERANCE = {"fp32": 1e-3, "bf16": 3e-2}
"""How far losses of a step may lie apart, relative: rounding, and nothing else."""


@dataclass(frozen=True)
class Case:
    """Fine-tuning of the model in ``weights`` on ``rows`` as ``causal.train`` takes them;
    with ``preference``, on pairs."""

    weights: Path
    rows: list[dict[str, Any]]
    where: Device
    preference: Preference | None = None

    @property
    def spec(self) -> TrainSpec:
        return TrainSpec(
            seed=0,
            optimization=Optimization(
                # After a step of 1e-5 a model of 1B told all pairs apart, and a loss of 0
                # says nothing of what follows.
                learning_rate=5e-7 if self.preference else 1e-4,
                scheduler="constant",
                warmup_ratio=0.0,
                # The Trainer leaves norms and biases out of weight decay; we do not.
                weight_decay=0.0,
            ),
            device=self.where,
            loss=self.preference,
        )


def random_rows(
    steps: int, batch: int, length: int, vocabulary: int
) -> list[dict[str, Any]]:
    """Ragged rows of ``length`` / 2 to ``length`` random tokens, a quarter of each prompt."""
    stream = random.Random(0)
    rows = []
    for number in range(steps * batch):
        ids = [
            stream.randrange(vocabulary)
            for _ in range(stream.randint(length // 2, length))
        ]
        labels = [causal.IGNORE] * (len(ids) // 4) + ids[len(ids) // 4 :]
        row = {"step": number // batch, "id": str(number)}
        rows.append(row | {"input_ids": ids, "labels": labels})
    return rows


def random_pairs(
    steps: int, batch: int, length: int, vocabulary: int
) -> list[dict[str, Any]]:
    """``batch`` / 2 pairs a step, each two rows as in ``random_rows`` with one prompt. The
    pairs of all steps are the same, so that the loss must fall."""
    stream = random.Random(1)
    pairs = []
    for row in random_rows(1, batch // 2, length, vocabulary):
        prompt = row["labels"].count(causal.IGNORE)
        answer = stream.randint(length // 2, length) - prompt
        other = [stream.randrange(vocabulary) for _ in range(answer)]
        pairs.append(row | {"role": CHOSEN})
        pairs.append(
            {
                "id": row["id"],
                "role": REJECTED,
                "input_ids": row["input_ids"][:prompt] + other,
                "labels": row["labels"][:prompt] + other,
            }
        )
    return [pair | {"step": n, "epoch": n} for n in range(steps) for pair in pairs]


def run(case: Case, repeats: int, compiled: bool, exact: bool) -> list[Timing]:
    """Train on ``case.rows`` with each contender; the first step warms up and does not
    count. ``exact``: also in fp32.

    Raises:
        UserError: the losses of two contenders do not agree.
    """
    device = torch.device(case.where.device)

    def contender(
        name: str, work: Run, option: bool, keep: bool, case: Case = case
    ) -> Contender:
        return name, Apart(work, case, option, device=device, keep=keep)

    contenders = [contender("selfgen", ours, False, keep=True)]
    if compiled:
        contenders.append(contender("selfgen, compiled", ours, True, keep=True))
    if exact:
        fp32 = replace(case, where=Device(case.where.device, "fp32"))
        contenders.append(contender("selfgen, fp32", ours, False, keep=True, case=fp32))
    if importlib.util.find_spec("trl"):
        trl = TRL[bool(case.preference)]
        contenders += [
            contender(trl, with_trl, False, keep=False),
            contender(f"{trl}, defaults", with_trl, True, keep=False),
        ]
        if device.type == "cpu":
            contenders.append(contender(f"{trl}, {KEPT}", with_trl, False, keep=True))
    else:
        log.warning("trl is not installed: no trainer to compare with")
    counted = [row for row in case.rows if row["step"] > 0]
    tokens = sum(len(row["input_ids"]) for row in counted)
    shown = {"steps": case.rows[-1]["step"] + 1, "rows": len(case.rows)}
    timings = compare(contenders, shown, tokens, repeats, device)
    agree(timings, case.where.precision)
    return timings


def agree(timings: Sequence[Timing], precision: str) -> None:
    """Note how far each contender's losses lie from the first one's, relative.

    Raises:
        UserError: they lie further apart than rounding explains.
    """
    expected = timings[0].notes["losses"]
    for timing in timings:
        pairs = zip(timing.notes["losses"], expected, strict=True)
        apart = max(abs(a - b) / abs(b) for a, b in pairs)
        timing.notes["apart"] = apart
        if apart > TOLERANCE[precision]:
            raise UserError(
                f"bench: losses of {timing.name} and selfgen differ by {apart:.1e},"
                f" allowed is {TOLERANCE[precision]}"
            )


def ours(case: Case, compile: bool) -> dict[str, Any]:
    """``causal.train``; seconds of its steps after the first."""
    model = loading.load(case.weights)
    _, outcome = causal.train(model, case.rows, case.spec, compile=compile)
    tokens: Counter[float] = Counter()
    for row in case.rows:
        tokens[row["step"]] += len(row["input_ids"])
    counted = outcome.curve[1:]
    seconds = sum(tokens[at["step"]] / at["tokens_per_second"] for at in counted)
    return {"seconds": seconds, "losses": [point["loss"] for point in outcome.curve]}


def with_trl(case: Case, checkpointing: bool) -> dict[str, Any]:
    """TRL's trainer over the same rows, in the same order and precision."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    marks: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            if case.where.device == "cuda":
                torch.cuda.synchronize()
            marks.append(time.perf_counter())

    class Pairs(DPOTrainer):
        def _prepare_dataset(self, dataset: Dataset, *args: Any) -> Dataset:
            return dataset  # tokens already

    spec, steps = case.spec.optimization, case.rows[-1]["step"] + 1
    if case.preference:
        trainer, config = Pairs, DPOConfig
        own: dict[str, Any] = {
            "beta": case.preference.beta,
            "precompute_ref_log_probs": True,
        }
        rows = [_pair(*case.rows[i : i + 2]) for i in range(0, len(case.rows), 2)]
    else:
        trainer, config = SFTTrainer, SFTConfig
        own = {"dataset_kwargs": {"skip_prepare_dataset": True}}
        rows = [{key: row[key] for key in ("input_ids", "labels")} for row in case.rows]
    with tempfile.TemporaryDirectory() as folder:
        trained = trainer(
            model=loading.load(case.weights),
            processing_class=load_tokenizer(case.weights),
            train_dataset=Dataset.from_list(rows),
            args=config(
                output_dir=folder,
                per_device_train_batch_size=len(rows) // steps,
                max_steps=steps,
                learning_rate=spec.learning_rate,
                lr_scheduler_type=spec.scheduler,
                weight_decay=spec.weight_decay,
                max_grad_norm=spec.max_grad_norm,
                optim="adamw_torch_fused",
                bf16=case.where.precision == "bf16",
                use_cpu=case.where.device == "cpu",
                gradient_checkpointing=checkpointing,
                max_length=None,
                train_sampling_strategy="sequential",
                remove_unused_columns=False,
                logging_steps=1,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                **own,
            ),
            callbacks=[Clock()],
        )
        trained.train()
    losses = [entry["loss"] for entry in trained.state.log_history if "loss" in entry]
    return {"seconds": marks[-1] - marks[0], "losses": losses}


def _pair(chosen: dict[str, Any], rejected: dict[str, Any]) -> dict[str, list[int]]:
    prompt = chosen["labels"].count(causal.IGNORE)
    ids, other = chosen["input_ids"], rejected["input_ids"]
    return {
        "prompt_ids": ids[:prompt],
        "chosen_ids": ids[prompt:],
        "rejected_ids": other[prompt:],
    }


def sizes(model: Any) -> tuple[int, int]:
    """Weights that multiply each token that is read, and each that is labelled or drawn."""
    head = model.get_output_embeddings().weight
    embeddings = {id(head), id(model.get_input_embeddings().weight)}
    body = sum(p.numel() for p in model.parameters() if id(p) not in embeddings)
    return body, head.numel()


def flops_per_token(model: Any, rows: list[dict[str, Any]]) -> float:
    """Floating-point operations that a forwarded token needs, forward and backward: six a
    weight of the body, six a weight of the head for each labelled token, and attention
    over half of the row on average; recomputation does not count."""
    config = model.config
    tokens = sum(len(row["input_ids"]) for row in rows)
    body, head = sizes(model)
    pairs = sum(len(row["input_ids"]) ** 2 / 2 for row in rows)
    attention = 12 * config.num_hidden_layers * config.hidden_size * pairs
    heads = 6 * head * causal.labelled(rows)
    return 6 * body + (attention + heads) / tokens


def page(timings: Sequence[Timing]) -> str:
    """Speed beside the first contender. Notes: ``flops`` of a token, and ``peak`` of the
    device in TFLOP/s where it was given."""
    peak = timings[0].notes["peak"]
    header = ["", "tokens/s", "selfgen is faster by", "TFLOP/s"]
    header += ["of peak"] if peak else []
    header += ["losses apart by at most", "peak MB"]
    lines = []
    for timing in timings:
        rate = timing.tokens_per_second * timing.notes["flops"] / 1e12
        lines.append(
            [
                timing.name,
                f"{timing.tokens_per_second:.0f}",
                f"{timing.median / timings[0].median:.2f}",
                f"{rate:.3g}",
                *([f"{rate / peak:.1%}"] if peak else []),
                f"{timing.notes['apart']:.0e}",
                f"{timing.memory_mb:.0f}" if timing.memory_mb else "",
            ]
        )
    return table(header, lines)

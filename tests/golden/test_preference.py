"""DPO on pairs of rows: by hand, against TRL's DPOTrainer, and what must change nothing.

By hand: a bigram model over four tokens, prompt 0, chosen answer 1 2, rejected answer 3.

                     p(1 | 0)  p(2 | 1)  chosen  p(3 | 0) = rejected
    model               1/2       1/4     1/8        1/4
    reference           1/4       1/4     1/16       1/4

The log-ratios are ln 2 and 0, so with beta 1 the margin is ln 2, its sigmoid 2/3, and the
loss ln 3/2. The chosen answer's cross-entropy is ln 8 over two tokens.
"""

from __future__ import annotations

import copy
import json
import logging
import math
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from selfgen.core.errors import UserError
from selfgen.training import causal
from selfgen.training.preference import PairLoss, dpo
from selfgen.training.spec import Lora, Preference, TrainSpec
from tests.golden.conftest import EOS, VOCABULARY, build
from tests.golden.test_mixing import Table
from tests.unit.test_training import SPEC, altered, assert_same

LN = math.log
SPEC = altered(SPEC, learning_rate=1e-3, loss=Preference())
TABLE = torch.tensor(
    [
        [1 / 8, 1 / 2, 1 / 8, 1 / 4],
        [1 / 4, 1 / 4, 1 / 4, 1 / 4],
        [1 / 4, 1 / 4, 1 / 4, 1 / 4],
        [1 / 4, 1 / 4, 1 / 4, 1 / 4],
    ]
).log()


def row(role: str, prompt: list[int], answer: list[int], **others: Any) -> dict:
    return {
        "step": 0,
        "id": "a",
        "epoch": 0,
        "role": role,
        "input_ids": [*prompt, *answer],
        "labels": [-100] * len(prompt) + answer,
    } | others


def pairs(steps: int = 6, size: int = 4, seed: int = 0) -> list[dict[str, Any]]:
    """Ragged pairs. The halves of a step's pairs stand apart, as they may."""
    stream = random.Random(seed)

    def some(most: int) -> list[int]:
        return [stream.randrange(3, VOCABULARY) for _ in range(stream.randint(1, most))]

    made = []
    for step in range(steps):
        prompts = [some(6) for _ in range(size)]
        for role, odd in (("rejected", 7), ("chosen", 9)):
            for i, prompt in enumerate(prompts):
                named = {"step": step, "id": f"{step}-{i // 2}", "epoch": i % 2}
                made.append(row(role, prompt, [*some(odd), EOS], **named))
    return made


def fit(**changes: Any) -> tuple[Any, causal.Outcome]:
    given = {"rows": pairs(), "spec": SPEC, "model": build("llama")} | changes
    return causal.train(
        given.pop("model"), given.pop("rows"), given.pop("spec"), **given
    )


def referred(model: Any, other: Any, rows: list[dict], spec: Preference) -> PairLoss:
    """The objective on ``model`` against the reference model ``other``."""
    from accelerate import Accelerator

    from selfgen.training.batches import Passes

    reference = PairLoss(other, spec)
    reference.begin([rows], Passes(reference, 1000), Accelerator(cpu=True))
    loss = PairLoss(model, spec)
    loss.reference = reference.reference
    return loss


def loss_of(loss: PairLoss, rows: list[dict]) -> dict[str, torch.Tensor]:
    flat = [row for pair in loss.groups(rows) for row in pair]
    sums = loss(**loss.collate(flat, "cpu"))
    means = loss.means(sums, loss.totals(rows))
    return dict(zip(loss.names, means, strict=True))


# By hand.


def test_the_loss_by_hand() -> None:
    """Second pair: log-ratios -1 and 1, beta 1/2: margin -1, loss ln(1 + e)."""
    model = torch.tensor([[-LN(8), -LN(4)], [-3.0, -1.0]])
    reference = torch.tensor([[-LN(16), -LN(4)], [-2.0, -2.0]])
    loss, margin = dpo(model, reference, 1.0)
    assert margin.tolist() == pytest.approx([LN(2), -2.0])
    assert loss[0].item() == pytest.approx(LN(1.5))
    loss, margin = dpo(model, reference, 0.5)
    assert margin.tolist() == pytest.approx([LN(2) / 2, -1.0])
    assert loss[1].item() == pytest.approx(LN(1 + math.e))


@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_rows_by_hand(weight: float) -> None:
    """The second pair has the answers the other way round: margin -ln 2, loss ln 3; its
    chosen answer has one token of cross-entropy ln 4."""
    rows = [
        row("chosen", [0], [1, 2]),
        row("chosen", [0], [3], epoch=1),
        row("rejected", [0], [3]),
        row("rejected", [0], [1, 2], epoch=1),
    ]
    spec = Preference(beta=1.0, sft_weight=weight)
    loss = referred(Table(TABLE), Table(torch.zeros(4, 4)), rows, spec)
    found = loss_of(loss, rows)
    expected = (LN(1.5) + LN(3)) / 2 + weight * (LN(8) + LN(4)) / 3
    assert found["loss"].item() == pytest.approx(expected)
    assert found["margin"].item() == pytest.approx(0.0, abs=1e-7)
    assert found["accuracy"].item() == 0.5
    found = loss_of(loss, rows[::2])
    expected = LN(1.5) + weight * LN(8) / 2
    assert found["loss"].item() == pytest.approx(expected)
    assert found["margin"].item() == pytest.approx(LN(2))
    assert found["accuracy"].item() == 1.0


# Against TRL.


@pytest.fixture(scope="module")
def trl(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Makes a real DPOTrainer on the same pairs, whose words are the token ids."""
    module = pytest.importorskip("trl", reason="trl is not installed (extra: bench)")
    from datasets import Dataset
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.WordLevel({f"<{i}>": i for i in range(VOCABULARY)}))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token=f"<{EOS}>", pad_token="<0>"
    )

    def text(row: dict[str, Any], asked: bool) -> str:
        """The prompt of a row, or its answer."""
        tokens = zip(row["input_ids"], row["labels"], strict=True)
        words = [f"<{token}>" for token, label in tokens if (label == -100) == asked]
        return " ".join(words) if asked else " " + " ".join(words)

    def make(model: Any, reference: Any, rows: list[dict], spec: TrainSpec) -> Any:
        found = PairLoss(model, spec.loss).groups(rows)
        halves = [
            {
                "prompt": text(chosen, True),
                "chosen": text(chosen, False),
                "rejected": text(rejected, False),
            }
            for chosen, rejected in found
        ]
        steps = len({row["step"] for row in rows})
        weight = spec.loss.sft_weight
        return module.DPOTrainer(
            model=model,
            ref_model=reference,
            processing_class=tokenizer,
            train_dataset=Dataset.from_list(halves),
            args=module.DPOConfig(
                output_dir=str(tmp_path_factory.mktemp("trl")),
                beta=spec.loss.beta,
                loss_type=["sigmoid", "sft"] if weight else ["sigmoid"],
                loss_weights=[1.0, weight] if weight else None,
                per_device_train_batch_size=len(found) // steps,
                max_steps=steps,
                learning_rate=spec.optimization.learning_rate,
                lr_scheduler_type="constant",
                weight_decay=0.0,
                max_grad_norm=spec.optimization.max_grad_norm,
                adam_beta1=spec.optimization.adam_betas[0],
                adam_beta2=spec.optimization.adam_betas[1],
                adam_epsilon=spec.optimization.adam_epsilon,
                optim="adamw_torch_fused",
                bf16=False,
                use_cpu=True,
                gradient_checkpointing=False,
                max_length=None,
                train_sampling_strategy="sequential",
                logging_steps=1,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
        )

    return make


@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_loss_and_gradients_are_trls(trl: Callable[..., Any], weight: float) -> None:
    """TRL's ``sft`` is the mean over the chosen answers' tokens of a batch, as ours is of
    a step, so both agree where a step is one batch. (TRL gives each micro-batch of an
    accumulated step the same weight, whatever its tokens; ours weighs tokens.)"""
    spec = replace(SPEC, loss=Preference(sft_weight=weight))
    rows = pairs(steps=1, size=6)
    reference, model = build("llama"), build("llama", seed=2)
    trainer = trl(copy.deepcopy(model), copy.deepcopy(reference), rows, spec)
    batch = trainer.data_collator(list(trainer.train_dataset))
    assert batch["completion_mask"][:, 1:].sum().item() == causal.labelled(rows)
    expected = trainer.compute_loss(trainer.model.train(), batch)
    expected.backward()
    loss = referred(model, reference, rows, spec.loss)
    found = loss_of(loss, rows)
    found["loss"].backward()
    torch.testing.assert_close(found["loss"], expected, rtol=1e-5, atol=0)
    logged = {name: values[-1] for name, values in trainer._metrics["train"].items()}
    assert found["margin"].item() == pytest.approx(logged["rewards/margins"], rel=1e-4)
    assert found["accuracy"].item() == logged["rewards/accuracies"]
    assert 0 < found["accuracy"].item() < 1, "pairs of both kinds are compared"
    ours, theirs = model.named_parameters(), trainer.model.parameters()
    for (name, a), b in zip(ours, theirs, strict=True):
        scale = b.grad.abs().max().item()
        torch.testing.assert_close(
            a.grad, b.grad, rtol=1e-4, atol=1e-5 * scale, msg=name
        )


@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_training_is_trls(trl: Callable[..., Any], weight: float) -> None:
    """Whole runs of a few steps from the same weights: the curves agree."""
    spec = altered(
        SPEC,
        loss=Preference(sft_weight=weight),
        scheduler="constant",
        warmup_ratio=0.0,
        weight_decay=0.0,
    )
    rows = pairs(steps=5)
    trainer = trl(build("llama"), build("llama"), rows, spec)
    trainer.train()
    theirs = [entry for entry in trainer.state.log_history if "loss" in entry]
    _, outcome = fit(rows=rows, spec=spec)
    for a, b in zip(outcome.curve, theirs, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-4)
        assert a["margin"] == pytest.approx(b["rewards/margins"], rel=1e-3, abs=1e-5)
        assert a["accuracy"] == b["rewards/accuracies"]
        assert a["grad_norm"] == pytest.approx(b["grad_norm"], rel=1e-3)


# The run.


def test_loss_falls_and_accuracy_rises() -> None:
    again = pairs(1, 6)
    rows = [{**row, "step": step} for step in range(20) for row in again]
    model, outcome = fit(rows=rows)
    first, last = outcome.curve[0], outcome.curve[-1]
    assert first["loss"] == pytest.approx(LN(2)), "the model is its own reference"
    assert (first["margin"], first["accuracy"]) == (0, 0)
    assert last["loss"] < 0.5 * first["loss"]
    assert last["margin"] > 0 and last["accuracy"] == 1
    assert outcome.labelled_tokens == causal.labelled(rows)
    read = sum(len(row["input_ids"]) for row in rows)
    assert outcome.forwarded_tokens == 2 * read, "the reference's pass counts"
    assert model.training


def test_sft_weight_keeps_the_chosen_likely() -> None:
    """With a large weight the loss is almost that of fine-tuning on the chosen rows."""
    rows = pairs(2)
    heavy = replace(SPEC, loss=Preference(sft_weight=1e6))
    _, outcome = fit(rows=rows, spec=heavy)
    chosen = [row for row in rows if row["role"] == "chosen"]
    _, plain = fit(rows=chosen, spec=replace(SPEC, loss=None))
    for a, b in zip(outcome.curve, plain.curve, strict=True):
        assert a["loss"] / 1e6 == pytest.approx(b["loss"], rel=1e-4)


def test_micro_batches_change_nothing() -> None:
    spec = replace(SPEC, loss=Preference(sft_weight=0.3))
    whole, one = fit(spec=spec, micro_batch_tokens=10_000)
    parts, two = fit(spec=spec, micro_batch_tokens=1)
    for a, b in zip(one.curve, two.curve, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)
        assert a["margin"] == pytest.approx(b["margin"], rel=1e-3, abs=1e-5)
        assert a["grad_norm"] == pytest.approx(b["grad_norm"], rel=1e-4)
    assert_same(whole, parts, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("inside", ["reference", "training"])
def test_out_of_memory_halves_the_micro_batch(
    inside: str, caplog: pytest.LogCaptureFixture
) -> None:
    """No micro-batch of more than 60 tokens fits, without or with gradient."""
    expected, _ = fit()
    model = build("llama")

    def full(module: Any, args: Any, kwargs: Any) -> None:
        here = torch.is_grad_enabled() == (inside == "training")
        if here and kwargs["input_ids"].numel() > 60:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    hook = model.base_model.register_forward_pre_hook(full, with_kwargs=True)
    with caplog.at_level(logging.WARNING):
        tuned, outcome = fit(model=model, micro_batch_tokens=300)
    hook.remove()
    assert outcome.steps == 6
    assert "going on with 75 tokens a forward pass" in caplog.text
    assert_same(expected, tuned, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("lora", [None, Lora(rank=4, alpha=8, dropout=0.1)])
def test_resumed_equals_uninterrupted(tmp_path: Path, lora: Lora | None) -> None:
    """The reference of a resumed run is the starting weights, not the checkpoint's."""
    spec = altered(SPEC, lora=lora)
    expected, outcome = fit(spec=spec)

    def interrupt(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(spec=spec, scratch=tmp_path, checkpoint_minutes=0, progress=interrupt)
    resumed, again = fit(spec=spec, scratch=tmp_path)
    assert_same(expected, resumed, rtol=0, atol=0)
    assert outcome.forwarded_tokens == again.forwarded_tokens
    timeless = [
        json.dumps([{**p, "tokens_per_second": 0} for p in run.curve])
        for run in (outcome, again)
    ]
    assert timeless[0] == timeless[1]


def test_dropout_is_off_for_the_reference() -> None:
    found = []
    for dropout in (0.0, 0.5):
        model = build("gpt_neox").train()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = dropout
        loss = referred(model, model, pairs(1), Preference())
        assert all(module.training for module in model.modules())
        found.append(loss.reference)
    assert found[0] == found[1]


def test_lora_starts_at_its_reference() -> None:
    """Adapters change nothing yet when the reference is computed."""
    lora = Lora(rank=4, alpha=8)
    _, outcome = fit(spec=altered(SPEC, lora=lora, learning_rate=1e-2))
    assert outcome.curve[0]["margin"] == 0
    assert outcome.curve[-1]["margin"] != 0


def test_incomplete_pairs_are_named() -> None:
    rows = pairs(1)
    unlabelled = {**rows[0], "labels": [-100] * len(rows[0]["labels"])}
    other = {**rows[1], "step": 1}
    for wrong, name, found in (
        (rows[1:], "0-0 (epoch 0) of step 0", "found chosen,"),
        (
            [*rows, rows[-1]],
            "0-1 (epoch 1) of step 0",
            "chosen and chosen and rejected",
        ),
        ([unlabelled, *rows[1:]], "0-0 (epoch 0) of step 0", "with labelled tokens"),
        ([rows[0], *rows[2:], other], "0-0 (epoch 1) of step 0", "found chosen,"),
        ([{**r, "role": None} for r in rows], "0-0 (epoch 0) of step 0", "found None"),
    ):
        with pytest.raises(UserError) as error:
            fit(rows=wrong)
        assert f"the pair {name} is incomplete" in str(error.value)
        assert found in str(error.value) and "\n" not in str(error.value)

"""The training loop: what must be equal is equal, in fp32 on a tiny model."""

from __future__ import annotations

import copy
import logging
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.golden.conftest import EOS, build, words
from torch.nn.functional import cross_entropy

from selfgen.core.errors import UserError
from selfgen.core.spec import Device, Sampling
from selfgen.generation import free
from selfgen.generation.decoding import Prompt
from selfgen.training import causal
from selfgen.training.spec import Lora, Optimization, Own, Preference, TrainSpec

SPEC = TrainSpec(
    seed=0,
    optimization=Optimization(
        learning_rate=1e-2, weight_decay=0.01, adam_betas=[0.9, 0.99]
    ),
    device=Device("cpu", "fp32"),
)


def altered(spec: TrainSpec, **keys: Any) -> TrainSpec:
    """A spec with other keys of its own or of its ``optimization``."""
    own = {key: keys.pop(key) for key in set(keys) & set(vars(spec))}
    return replace(
        spec, optimization=Optimization(**vars(spec.optimization) | keys), **own
    )


def rows(steps: int = 6, size: int = 8) -> list[dict[str, Any]]:
    """Ragged rows; every third differs between what is read and what is asked."""
    stream = random.Random(0)
    made = []
    for step in range(steps):
        for i in range(size):
            prompt = [stream.randrange(3, 31) for _ in range(stream.randint(1, 6))]
            answer = [stream.randrange(3, 31) for _ in range(stream.randint(1, 9))]
            read = [9 if t % 3 == 0 else token for t, token in enumerate(answer)]
            made.append(
                {
                    "step": step,
                    "id": f"{step}-{i}",
                    "input_ids": prompt + (read if i % 3 == 0 else answer) + [EOS],
                    "labels": [-100] * len(prompt) + [*answer, EOS],
                }
            )
    return made


def fit(**changes: Any) -> tuple[Any, causal.Outcome]:
    given = {"rows": rows(), "spec": SPEC, "model": build("llama")} | changes
    return causal.train(
        given.pop("model"), given.pop("rows"), given.pop("spec"), **given
    )


def assert_same(a: Any, b: Any, **tolerance: float) -> None:
    for name, value in a.state_dict().items():
        torch.testing.assert_close(value, b.state_dict()[name], msg=name, **tolerance)


@pytest.mark.parametrize("mean", ["token", "row"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_micro_batches_change_nothing(mean: str, smoothing: float) -> None:
    spec = altered(SPEC, loss_mean=mean, label_smoothing=smoothing)
    whole, one = fit(spec=spec, micro_batch_tokens=10_000)
    parts, two = fit(spec=spec, micro_batch_tokens=1)
    for a, b in zip(one.curve, two.curve, strict=True):
        assert a.keys() == b.keys()
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)
        if smoothing:
            assert a["smoothed_loss"] == pytest.approx(b["smoothed_loss"], rel=1e-5)
        assert a["grad_norm"] == pytest.approx(b["grad_norm"], rel=1e-4)
    assert_same(whole, parts, rtol=1e-3, atol=1e-4)
    assert (one.steps, one.labelled_tokens) == (two.steps, two.labelled_tokens)


def test_out_of_memory_halves_the_micro_batch_and_changes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A hook on the model raises what torch raises, from 40 tokens of a pass on."""
    expected, _ = fit()
    model = build("llama")

    def full(module: Any, args: Any, kwargs: Any) -> None:
        if kwargs["input_ids"].numel() > 40:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    hook = model.base_model.register_forward_pre_hook(full, with_kwargs=True)
    with caplog.at_level(logging.WARNING):
        tuned, outcome = fit(model=model, micro_batch_tokens=300)
    hook.remove()
    assert outcome.steps == 6
    assert "going on with 37 tokens a forward pass" in caplog.text
    assert_same(expected, tuned, rtol=1e-3, atol=1e-4)
    model.base_model.register_forward_pre_hook(
        lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("CUDA out of memory."))
    )
    with pytest.raises(
        UserError, match=r"out of memory with one row, of \d+ tokens: sh"
    ):
        fit(model=model)


def test_compiled_equals_eager() -> None:
    (eager, one), (compiled, two) = fit(rows=rows(3)), fit(rows=rows(3), compile=True)
    for a, b in zip(one.curve, two.curve, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-4)
    assert_same(eager, compiled, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("mean", ["token", "row"])
def test_first_step_equals_a_plain_loop(mean: str) -> None:
    """One step of transformers' own loss on each row alone, weighted by its labels or, as
    micro-batches of one row are, not."""
    model = build("llama")
    batch = rows(steps=1)
    plain = copy.deepcopy(model).train()
    total = causal.labelled(batch)
    losses = []
    for row in batch:
        labels = torch.tensor([row["labels"]])
        out = plain(input_ids=torch.tensor([row["input_ids"]]), labels=labels)
        share = causal.labelled([row]) / total if mean == "token" else 1 / len(batch)
        losses.append(out.loss * share)
    loss = torch.stack(losses).sum()
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
    _, outcome = fit(rows=batch, model=model, spec=altered(SPEC, loss_mean=mean))
    assert outcome.curve[0]["loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert outcome.curve[0]["grad_norm"] == pytest.approx(norm.item(), rel=1e-4)


@pytest.mark.parametrize("mean", ["token", "row"])
def test_smoothed_labels_are_torchs(mean: str) -> None:
    """What is minimised is torch's own on each row alone; the curve's ``loss`` is still the
    cross-entropy of the labels."""
    model = build("llama")
    batch = rows(steps=1)
    plain = copy.deepcopy(model).train()
    total = causal.labelled(batch)
    losses: dict[float, list[torch.Tensor]] = {0.0: [], 0.2: []}
    for row in batch:
        logits = plain(input_ids=torch.tensor([row["input_ids"]])).logits[0, :-1]
        labels = torch.tensor(row["labels"][1:])
        share = causal.labelled([row]) / total if mean == "token" else 1 / len(batch)
        for smoothing, own in losses.items():
            loss = cross_entropy(logits, labels, label_smoothing=smoothing)
            own.append(loss * share)
    hard, smoothed = (torch.stack(own).sum() for own in losses.values())
    smoothed.backward()
    norm = torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
    spec = altered(SPEC, loss_mean=mean, label_smoothing=0.2)
    _, outcome = fit(rows=batch, model=model, spec=spec)
    assert outcome.curve[0]["smoothed_loss"] == pytest.approx(smoothed.item(), rel=1e-5)
    assert outcome.curve[0]["loss"] == pytest.approx(hard.item(), rel=1e-5)
    assert outcome.curve[0]["grad_norm"] == pytest.approx(norm.item(), rel=1e-4)
    assert abs(hard.item() - smoothed.item()) > 0.01


@pytest.mark.parametrize("mean", ["token", "row"])
def test_cross_entropy_as_a_loss_of_ones_own_changes_nothing(mean: str) -> None:
    def own(logits: Any, labels: Any, inputs: Any) -> Any:
        return cross_entropy(logits, labels, reduction="none")

    spec = altered(SPEC, loss_mean=mean)
    built_in, one = fit(spec=spec)
    same, two = fit(spec=spec, loss_function=own, micro_batch_tokens=40)
    for a, b in zip(one.curve, two.curve, strict=True):
        # Their terms are added in another order.
        assert b["own_loss"] == pytest.approx(b["loss"], rel=1e-6)
        assert b["loss"] == pytest.approx(a["loss"], rel=1e-5)
    assert_same(built_in, same, rtol=1e-3, atol=1e-4)


def test_a_loss_of_ones_own_is_told_what_stands_in_the_context() -> None:
    """The labels of a row and, at each, the token that is read there: by hand."""
    row = {"step": 0, "id": "a", "input_ids": [4, 5, 9, 7], "labels": [-100, 5, 6, 7]}
    other = {"step": 0, "id": "b", "input_ids": [3, 8], "labels": [-100, 8]}
    seen = []

    def own(logits: Any, labels: Any, inputs: Any) -> Any:
        seen.append((labels.tolist(), inputs.tolist(), logits.dtype))
        return logits.logsumexp(-1) * 0 + torch.where(inputs != labels, 3.0, 1.0)

    _, outcome = fit(rows=[row, other], loss_function=own)
    ((labels, read, dtype),) = seen
    assert dtype == torch.float32
    assert sorted(zip(labels, read, strict=True)) == [(5, 5), (6, 9), (7, 7), (8, 8)]
    assert outcome.curve[0]["own_loss"] == (1 + 3 + 1 + 1) / 4
    assert outcome.curve[0]["grad_norm"] == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"loss_function": lambda a, b, c: a.sum()},
            r"found shape \[\], allowed: a loss",
        ),
        (
            {"loss_function": lambda a, b, c: 1.0},
            "found float, allowed: a loss for each",
        ),
        (
            {"loss_function": print, "spec": altered(SPEC, label_smoothing=0.1)},
            "a loss of its own with another or with label_smoothing",
        ),
        ({"loss_function": print, "spec": replace(SPEC, loss=Preference())}, "another"),
        (
            {"spec": replace(SPEC, loss=Own(loss_function="mine.py:loss"))},
            "found the address mine.py:loss",
        ),
    ],
)
def test_a_loss_of_ones_own_that_is_none(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        fit(**changes)


@pytest.mark.parametrize("keys", [{"loss_mean": "row"}, {"label_smoothing": 0.1}])
def test_pairs_have_their_own_mean_and_labels(keys: dict[str, Any]) -> None:
    ((key, value),) = keys.items()
    with pytest.raises(UserError, match=f"training: found {key} {value} with pairs"):
        fit(spec=altered(SPEC, loss=Preference(), **keys))


def test_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    expected, outcome = fit()

    def interrupt(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(scratch=tmp_path, checkpoint_minutes=0, progress=interrupt)
    kept = ["step-00000002", "step-00000003"]
    assert sorted(p.name for p in tmp_path.iterdir()) == kept
    (tmp_path / "step-00000009.tmp").mkdir()  # a write that was cut off is not read
    steps = []
    resumed, again = fit(scratch=tmp_path, progress=lambda done, _: steps.append(done))
    assert steps == [4, 5, 6], "the first three steps are not done twice"
    assert_same(expected, resumed, rtol=0, atol=0)
    for a, b in zip(outcome.curve, again.curve, strict=True):
        assert (a["step"], a["loss"], a["learning_rate"]) == (
            b["step"],
            b["loss"],
            b["learning_rate"],
        )


def test_repeated_run_is_identical() -> None:
    assert_same(fit()[0], fit()[0], rtol=0, atol=0)


def test_eos_is_learned() -> None:
    """Rows that always end after two tokens teach the model to end after two tokens."""
    taught = [
        {
            "step": step,
            "id": f"{step}-{i}",
            "input_ids": [3 + i, 20, 21, EOS],
            "labels": [-100, 20, 21, EOS],
        }
        for step in range(60)
        for i in range(4)
    ]
    model, _ = fit(rows=taught)
    prompts = [Prompt(str(i), 0, [3 + i]) for i in range(4)]
    made = list(
        free.run(
            model.eval(),
            words(),
            prompts,
            Sampling(),
            seed=0,
            max_new_tokens=10,
            batch_size=4,
        )
    )
    assert [row["text"] for row in made] == ["20 21"] * 4
    assert all(row["ended"] for row in made)
    masked = [{**row, "labels": [-100, 20, 21, -100]} for row in taught]
    unended, _ = fit(rows=masked)
    made = free.run(
        unended.eval(),
        words(),
        prompts,
        Sampling(),
        seed=0,
        max_new_tokens=10,
        batch_size=4,
    )
    assert not any(row["ended"] for row in made), "a masked EOS is never learned"


def test_lora_trains_adapters_and_saves_whole_weights() -> None:
    model = build("llama")
    before = copy.deepcopy(model)
    spec = altered(SPEC, lora=Lora(rank=4, alpha=8))
    tuned, outcome = fit(model=model, spec=spec)
    assert set(tuned.state_dict()) == set(before.state_dict())
    assert outcome.curve[-1]["loss"] < outcome.curve[0]["loss"]
    embedding = "model.embed_tokens.weight"
    torch.testing.assert_close(
        tuned.state_dict()[embedding], before.state_dict()[embedding]
    )


def test_loss_that_is_not_finite_names_its_rows() -> None:
    model = build("llama")
    with torch.no_grad():
        model.model.embed_tokens.weight[9] = float("nan")
    with pytest.raises(UserError, match=r"loss of step 0 is nan; its rows are 0-0"):
        fit(model=model)


class Broken(torch.autograd.Function):
    """Says what it is told, but has no gradient."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient * float("nan")


def test_a_gradient_that_is_not_finite_names_its_rows() -> None:
    """Also of the last step, whose weights nobody reads."""
    model = build("llama")
    model.lm_head.register_forward_hook(lambda *args: Broken.apply(args[-1]))
    with pytest.raises(UserError, match=r"gradient of step 0 is nan; its rows are 0-0"):
        fit(model=model)


def test_nothing_to_train_and_a_loss_of_routers_are_refused() -> None:
    frozen = build("llama")
    for parameter in frozen.parameters():
        parameter.requires_grad_(False)
    with pytest.raises(
        UserError, match="no parameter of the model requires a gradient"
    ):
        fit(model=frozen)
    routed = build("llama")
    routed.config.output_router_logits = True
    with pytest.raises(UserError, match="LlamaForCausalLM says output_router_logits"):
        fit(model=routed)


@pytest.mark.parametrize(
    ("ids", "labels", "match"),
    [
        ([5, 99, 3], [-100, 7, 3], "row x: found token 99, allowed with Llama"),
        ([5, 7, 3], [-100, 99, 3], "row x: found token 99, allowed with Llama"),
        ([5, 7, 3], [-100, -1, 3], "row x: found token -1, allowed with Llama"),
        ([5, 7, 3], [-100, 3], "found 3 tokens and 2 labels in the row x; allowed"),
        ([], [], "found 0 tokens and 0 labels in the row x; allowed"),
    ],
)
def test_rows_that_are_none_are_named(
    ids: list[int], labels: list[int], match: str
) -> None:
    sound = {"step": 0, "id": "a", "epoch": 0, "input_ids": [5, 6], "labels": [5, 6]}
    wrong = sound | {"id": "x", "input_ids": ids, "labels": labels}
    with pytest.raises(UserError, match=match):
        fit(rows=[sound, wrong])
    pair = [sound | {"role": role} for role in ("chosen", "rejected")]
    strange = [wrong | {"role": role} for role in ("chosen", "rejected")]
    with pytest.raises(UserError, match=match):
        fit(rows=pair + strange, spec=replace(SPEC, loss=Preference()))


def test_loss_that_is_not_finite_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    """The hook makes what a network of no finite weights says, from its 4th batch on."""
    whole, _ = fit()
    model, calls = build("llama"), iter(range(6))

    def break_down(module: Any, args: Any, output: Any) -> Any:
        return output * float("nan") if next(calls) >= 3 else output

    model.lm_head.register_forward_hook(break_down)
    state = {"scratch": tmp_path, "checkpoint_minutes": 0.0}
    with pytest.raises(UserError, match=r"loss of step 3 is nan; its rows are 3-0"):
        fit(model=model, micro_batch_tokens=10_000, **state)
    kept = ["step-00000002", "step-00000003"]
    assert sorted(path.name for path in tmp_path.iterdir()) == kept
    mended, outcome = fit(micro_batch_tokens=10_000, **state)
    assert outcome.steps == 6
    assert_same(whole, mended, rtol=1e-3, atol=1e-4)


def test_rows_out_of_order_are_refused() -> None:
    shuffled = rows()[8:] + rows()[:8]
    with pytest.raises(UserError, match="step 1 of row 1-0 is out of order"):
        fit(rows=shuffled)
    unlabelled = [{**row, "labels": [-100] * len(row["labels"])} for row in rows()]
    with pytest.raises(UserError, match="step 0 has no labelled token"):
        fit(rows=unlabelled)


def test_rmsprop_is_torchs() -> None:
    """A step of torch's own on the gradients of a plain loop, as it comes but for rate and
    decay."""
    spec = altered(SPEC, optimizer="rmsprop", scheduler="constant", warmup_ratio=0.0)
    tuned, _ = fit(rows=rows(2), spec=spec)
    model = build("llama")
    keys = spec.optimization
    how = {"lr": keys.learning_rate, "weight_decay": keys.weight_decay}
    optimizer = torch.optim.RMSprop(model.parameters(), **how)
    for step in range(2):
        part = [row for row in rows(2) if row["step"] == step]
        total = causal.labelled(part)
        for row in part:
            ids, labels = (torch.tensor([row[k]]) for k in ("input_ids", "labels"))
            count = causal.labelled([row])
            (model(input_ids=ids, labels=labels).loss * count / total).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), keys.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
    adam, _ = fit(rows=rows(2))

    def alike(other: Any) -> float:
        """Share of equal weights: of gradients that are all but 0 only the sign counts."""
        pairs = zip(tuned.parameters(), other.parameters(), strict=True)
        same = torch.cat([torch.isclose(a, b, 1e-3, 1e-4).flatten() for a, b in pairs])
        return same.float().mean().item()

    assert alike(model) > 0.98
    assert alike(adam) < 0.5

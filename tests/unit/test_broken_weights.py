"""Weights that are none: no step, checkpoint, result or base model has them.

The trainings are real ones whose loss and gradients stay finite to the end."""

from __future__ import annotations

import json
import logging
import math
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests import steps
from tests.golden import test_preference, test_two_pass
from tests.golden.conftest import build, words
from tests.unit.test_training import SPEC, Broken, altered, assert_same, fit, rows

from selfgen.core.errors import UserError
from selfgen.core.rows import write_rows
from selfgen.core.sealed import SEAL
from selfgen.core.spec import Device
from selfgen.data.chat_templates import CHATML
from selfgen.models import base, finite, loading
from selfgen.models.base import ModelSpec
from selfgen.training.spec import Lora, Online, TwoPass

RISING = {"scheduler": "constant_with_warmup", "warmup_ratio": 1.0}
"""No rate in the first of two steps, half the peak in the last."""

LAST = altered(SPEC, learning_rate=1e39, **RISING)
"""Its last step of two overflows."""

UNDIVIDED = altered(SPEC, adam_epsilon=1e-300, adam_betas=[0.9, 0.0])
"""Divides by a squared gradient alone: a weight without gradient in one step, after one that
it had in the last, becomes infinite."""

STILL = altered(SPEC, optimizer="rmsprop", weight_decay=1e30)
"""Its weights stay as they were, for every update is divided by infinity."""

TOKEN = 9


def lacking(start: int, count: int = 6) -> list[dict[str, Any]]:
    """Rows of every token, but for one from the step ``start`` on: the loss never sees what
    has become of it."""
    made = []
    for step in range(count):
        ids = [i for i in range(31) if step < start or i != TOKEN]
        for number, order in enumerate((ids, ids[::-1])):
            row = {"step": step, "id": f"{step}-{number}"}
            made.append(row | {"input_ids": order, "labels": order})
    return made


def unpadded() -> Any:
    """A model all of whose tokens have gradients."""
    model = build("llama")
    model.model.embed_tokens.padding_idx = None
    return model


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"spec": LAST, "rows": rows(2)},
            r"after step 1, 744 of 744 values of model\.embed_tokens\.weight are not"
            r" finite, 11976 of 11976 in all; its rows are 1-0, 1-1, .*; lower"
            r" stages\.NAME\.learning_rate \(found 1e\+39, here 5e\+38\), max_grad_norm"
            r" \(found 1\) or weight_decay \(found 0\.01\), raise adam_epsilon \(found"
            r" 1e-08\)$",
        ),
        (
            {"spec": UNDIVIDED, "model": unpadded(), "rows": lacking(3)},
            r"after step 3, 24 of 744 values of model\.embed_tokens\.weight are not"
            r" finite, 24 of 11976 in all; its rows are 3-0, 3-1; lower",
        ),
        (
            {"spec": STILL},
            r"after step 0, 720 of 744 values of the optimizer's square_avg of"
            r" model\.embed_tokens\.weight are not .*max_grad_norm \(found 1\) or"
            r" weight_decay \(found 1e\+30\)$",
        ),
        (
            {"spec": altered(LAST, lora=Lora(rank=4)), "rows": rows(2)},
            r"after step 1, 96 of 96 values of .*q_proj\.lora_A\.default\.weight are not"
            r" finite, 3072 of 3072 in all; its rows are 1-0",
        ),
        (
            # Adapters are finite here, but not their product.
            {
                "spec": altered(LAST, lora=Lora(rank=4), learning_rate=2e30),
                "rows": rows(2),
            },
            r"with the adapters merged, 576 of 576 values of .*q_proj\.weight are not"
            r" finite, 10368 of 11976 in all; lower stages\.NAME\.learning_rate \(found"
            r" 2e\+30\)",
        ),
    ],
    ids=["all", "a token", "state", "lora", "merged"],
)
def test_a_step_that_breaks_weights_is_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=f"^training: {said}"):
        fit(**given)


def test_finite_weights_that_are_huge_are_no_fault() -> None:
    """Their squares overflow, so the norm of the quick look does."""
    model = build("llama")
    with torch.no_grad():
        model.model.embed_tokens.weight[1] = 1e30  # of a token that no row has
    tuned, _ = fit(model=model, spec=altered(SPEC, weight_decay=0.0), rows=rows(1))
    assert all(bool(p.isfinite().all()) for p in tuned.parameters())


LOSSES: dict[str, tuple[Callable[..., Any], Any]] = {
    "labels": (rows, SPEC),
    "lora": (rows, altered(SPEC, lora=Lora(rank=4))),
    "pairs": (test_preference.pairs, test_preference.SPEC),
    "two-pass": (test_two_pass.rows, replace(SPEC, loss=TwoPass(beta=0.5))),
    "online": (test_two_pass.rows, replace(SPEC, loss=Online(beta=0.5))),
}


@pytest.mark.parametrize("name", LOSSES)
def test_the_gradient_of_every_step_is_checked(name: str) -> None:
    """Whatever the loss, and whether it is clipped to nothing or not at all."""
    make, spec = LOSSES[name]
    norms = []
    for limit in (1e-30, 1.0, 1e30):
        _, outcome = fit(rows=make(2), spec=altered(spec, max_grad_norm=limit))
        norms.append([point["grad_norm"] for point in outcome.curve])
        assert all(0 < norm < math.inf for norm in norms[-1]) and len(norms[-1]) == 2
    assert norms[0][0] == norms[1][0] == norms[2][0]
    model = build("llama")
    model.lm_head.register_forward_hook(lambda *args: Broken.apply(args[-1]))
    with pytest.raises(UserError, match=r"gradient of step 0 is nan; its rows are \S"):
        fit(model=model, rows=make(1), spec=spec)


def test_the_last_good_checkpoint_stays(tmp_path: Path) -> None:
    """The same run fails at the same place, in the same words."""
    state = {"scratch": tmp_path, "checkpoint_minutes": 0.0, "spec": UNDIVIDED}
    said = []
    for _ in range(2):
        done: list[int] = []
        with pytest.raises(UserError) as caught:
            fit(
                model=unpadded(),
                rows=lacking(3),
                progress=lambda step, _, done=done: done.append(step),
                **state,
            )
        said.append((str(caught.value), done))
        assert names(tmp_path) == ["step-00000002", "step-00000003"]
        for path in tmp_path.glob("*/model.safetensors"):
            assert all(bool(x.isfinite().all()) for x in load_file(path).values())
    assert said[0] == (said[1][0], [1, 2, 3]) and said[1][1] == []
    # What was wrong were the rows: from there on the right ones give the right weights.
    whole, _ = fit(model=unpadded(), rows=lacking(6), spec=UNDIVIDED)
    mended, outcome = fit(model=unpadded(), rows=lacking(6), **state)
    assert outcome.steps == 6
    assert_same(whole, mended, rtol=0, atol=0)


def test_the_state_of_another_spec_is_refused(tmp_path: Path) -> None:
    """Its optimiser would go on with the old rates."""
    state = {"scratch": tmp_path, "checkpoint_minutes": 0.0}
    fit(**state)
    with pytest.raises(UserError, match="found the state of a training with another"):
        fit(spec=altered(SPEC, learning_rate=1e-3), **state)
    assert fit(**state)[1].steps == 6


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """State of a training that was stopped after four steps."""
    scratch = tmp_path_factory.mktemp("stopped")
    fit(scratch=scratch, checkpoint_minutes=0, after_step=lambda step: step == 4)
    assert names(scratch) == ["step-00000003", "step-00000004"]
    return scratch


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("harm", [flip, cut, empty, Path.unlink])
def test_a_damaged_checkpoint_is_not_read(
    harm: Callable[[Path], None],
    stopped: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whichever of its files it is; the one before it is, and without one all begins anew."""
    whole, _ = fit()
    files = [path.name for path in (stopped / "step-00000004").iterdir()]
    assert {"model.safetensors", "optimizer.bin", "outcome.json", SEAL} <= {*files}
    for name in files:
        scratch = tmp_path / name
        shutil.copytree(stopped, scratch)
        harm(scratch / "step-00000004" / name)
        caplog.clear()
        with caplog.at_level(logging.INFO):
            tuned, outcome = fit(scratch=scratch)
        # A flipped bit of a hash is one of the file that it is the hash of.
        said = "" if name == SEAL else f"{name} "
        found = f"{scratch}/step-00000004 is damaged: {said}"
        assert found in caplog.text
        assert "; going back to step-00000003" in caplog.text
        assert "resumed after step 3" in caplog.text
        assert outcome.steps == 6
        assert_same(whole, tuned, rtol=0, atol=0)
        assert names(scratch) == ["step-00000003"]
    harm(scratch / "step-00000003" / "random_states_0.pkl")
    caplog.clear()
    with caplog.at_level(logging.INFO):
        tuned, outcome = fit(scratch=scratch)
    assert "; starting anew" in caplog.text and "resumed" not in caplog.text
    assert_same(whole, tuned, rtol=0, atol=0)
    assert names(scratch) == []


def test_weights_of_a_checkpoint_that_were_broken_are_not_read(
    stopped: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whole as a file, but not what was written."""
    scratch = tmp_path / "scratch"
    shutil.copytree(stopped, scratch)
    path = scratch / "step-00000004" / "model.safetensors"
    save_file({k: x * math.nan for k, x in load_file(path).items()}, path)
    tuned, _ = fit(scratch=scratch)
    assert "model.safetensors has the hash" in caplog.text
    assert_same(fit()[0], tuned, rtol=0, atol=0)


def test_the_older_checkpoint_goes_before_the_next_is_written(tmp_path: Path) -> None:
    """So that the disk has room for two where it has for two."""
    seen: list[list[str]] = []

    def look(step: int, _: int) -> None:
        seen.append(names(tmp_path))

    fit(scratch=tmp_path, checkpoint_minutes=0, progress=look)
    assert [len(found) for found in seen] == [0, 1, 2, 2, 2, 2]
    assert names(tmp_path) == ["step-00000005", "step-00000006"]


# What others made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model on the disk."""
    out = tmp_path / "given"
    base.prepare(model_spec(), None, out)
    return out


def model_spec(kind: str = "random") -> ModelSpec:
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    shape |= {"num_attention_heads": 2}
    if kind == "random":
        return ModelSpec(kind, None, CHATML, "llama", shape)
    return ModelSpec(kind, chat_template=CHATML)


def spoil(path: Path, number: float) -> None:
    held = load_file(path)
    held["model.norm.weight"][3] = number
    save_file(held, path, {"format": "pt"})


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_model_with_broken_weights_is_refused(
    number: float, folder: Path, tmp_path: Path
) -> None:
    path = folder / "model.safetensors"
    spoil(path, number)
    said = rf"^{path}: 1 of 16 values of model\.norm\.weight are not finite; allowed: f"
    with pytest.raises(UserError, match=said):
        loading.load(folder)
    with pytest.raises(UserError, match=said):
        loading.load_for_generation(folder, Device("cpu", "fp32"))
    with pytest.raises(UserError, match=said):
        base.prepare(model_spec("folder"), folder, tmp_path / "base")
    assert not (tmp_path / "base").exists()


def test_a_file_of_several_is_named(folder: Path, tmp_path: Path) -> None:
    loading.load(folder).save_pretrained(folder, max_shard_size="10KB")
    (folder / "model.safetensors").unlink(missing_ok=True)
    loading.load(folder)
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    path = folder / index["weight_map"]["model.norm.weight"]
    spoil(path, math.nan)
    assert len(set(index["weight_map"].values())) > 1
    with pytest.raises(UserError, match=rf"^{path}: 1 of 16 values of model\.norm"):
        loading.load(folder)
    path.unlink()
    with pytest.raises(
        UserError, match=rf"index\.json names {path.name}, which is miss"
    ):
        base.prepare(model_spec("folder"), folder, tmp_path / "base")


def test_weights_that_are_cut_off_are_refused(folder: Path, tmp_path: Path) -> None:
    path = folder / "model.safetensors"
    cut(path)
    said = rf"^{path}: not whole safetensors: .*; copy or fetch it again$"
    with pytest.raises(UserError, match=said):
        loading.load(folder)
    with pytest.raises(UserError, match=said):
        base.prepare(model_spec("folder"), folder, tmp_path / "base")
    assert not (tmp_path / "base").exists()


def test_weights_that_are_not_all_there_are_refused(folder: Path) -> None:
    """transformers would make them up."""
    path, name = folder / "model.safetensors", "model.layers.1.mlp.up_proj.weight"
    whole = load_file(path)
    said = (
        rf"^{folder}: 1 of the weights of LlamaForCausalLM are missing or of an.*{name}"
    )
    save_file({k: x for k, x in whole.items() if k != name}, path, {"format": "pt"})
    with pytest.raises(UserError, match=said):
        loading.load(folder)
    save_file(whole | {name: whole[name][:3].clone()}, path, {"format": "pt"})
    with pytest.raises(UserError, match=said):
        loading.load(folder)
    save_file(whole, path, {"format": "pt"})
    loading.load(folder)


def test_sound_weights_are_taken(folder: Path, tmp_path: Path) -> None:
    base.prepare(model_spec("folder"), folder, tmp_path / "base")
    one, two = (load_file(f / "model.safetensors") for f in (folder, tmp_path / "base"))
    assert all(torch.equal(value, two[name]) for name, value in one.items())


def test_a_mask_of_older_code_is_no_broken_weight(folder: Path, tmp_path: Path) -> None:
    """Checkpoints of GPT-NeoX, such as Pythia's, hold -1e9 in half precision."""
    path = folder / "model.safetensors"
    mask = {"model.layers.0.self_attn.masked_bias": torch.tensor(-1e9).half()}
    assert not all(value.isfinite() for value in mask.values())
    save_file(load_file(path) | mask, path, {"format": "pt"})
    base.prepare(model_spec("folder"), folder, tmp_path / "base")
    loading.load(tmp_path / "base")


def test_packed_weights_are_whole_numbers() -> None:
    model = torch.nn.Linear(2, 2)
    model.packed = torch.nn.Parameter(torch.ones(4, dtype=torch.uint8), False)
    assert finite.broken(model) is None
    model.bias.data[0] = math.nan
    assert finite.broken(model) == (
        "1 of 2 values of bias are not finite, 1 of 10 in all"
    )


def test_broken_weights_are_not_saved(tmp_path: Path) -> None:
    model = build("llama")
    with torch.no_grad():
        model.model.norm.weight[3] = math.inf
    said = r"model: 1 of 24 values of model\.norm\.weight are not finite, 1 of 11976 in"
    with pytest.raises(UserError, match=said):
        loading.save(model, words(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


# As a step of the workflow


def test_a_step_whose_weights_break_leaves_nothing_and_is_mended(
    folder: Path, tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", path)
    folder.rename(tmp_path / "base")
    write_rows(tmp_path / "rows.parquet", rows(2))
    out, scratch = tmp_path / "out", tmp_path / "scratch"
    how = {"scratch": scratch, "checkpoint_minutes": 0, "threads": 1}

    def run(spec: Any) -> tuple[int, list[str]]:
        command = steps.training(spec, tmp_path, out, **how)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr.splitlines()

    said = []
    for _ in range(2):
        code, lines = run(replace(LAST, device=Device("cpu", "bf16")))
        assert code == 1 and "Traceback" not in "\n".join(lines)
        said.append(lines[-1])
        assert not out.exists() or not names(out)
        assert [p.name for p in scratch.glob("*/step-*")] == ["step-00000001"]
    assert said[0] == said[1]
    assert said[0].startswith("error: training: after step 1, ")
    assert "stages.NAME.learning_rate (found 1e+39" in said[0]
    assert said[0].endswith(", or set precision: fp32 (found bf16)")
    code, lines = run(altered(LAST, learning_rate=1e-2))
    assert code == 0, lines
    assert names(out) == ["curve.jsonl", "manifest.json", "weights"]
    loading.load(out / "weights")

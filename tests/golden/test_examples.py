"""The scripts in examples/, each to its end on a tiny model, and their losses against ours on
the rows that they train on."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import TrainingArguments

import selfgen
from selfgen.core.spec import Device
from selfgen.data.prompts import load_tokenizer
from selfgen.library.refresh import whole
from selfgen.models import loading
from selfgen.training import causal
from selfgen.training.spec import Lora, Optimization, TrainSpec
from tests.tiny import tiny

pytest.importorskip("trl")

REPO = Path(__file__).parents[2]
DATA = [
    {"id": f"r{n}", "prompt": f"Say {n}.", "completion": f"Here it is: {n * 7}."}
    for n in range(10)
]
BATCH = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in DATA))
    return path


def losses_of(script: str, data: Path, folder: Path, out: Path) -> list[float]:
    """Of each step, as the script prints them."""
    done = subprocess.run(
        [sys.executable, f"examples/{script}.py", str(data), str(folder), str(out)],
        cwd=REPO,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (out / "model.safetensors").is_file()
    (said,) = re.findall(r"^losses (.+)$", done.stdout, re.MULTILINE)
    return [float(x) for x in said.split()]


def ours(
    model: Any, rows: Sequence[dict[str, Any]], rate: float, lora: Lora | None = None
) -> tuple[Any, list[float]]:
    """Our loop over the same rows in the same order, as those trainers decay rates."""
    steps = [{"step": n // BATCH, **row} for n, row in enumerate(rows)]
    keys = Optimization(
        learning_rate=rate, scheduler="linear", warmup_ratio=0.0, lora=lora
    )
    spec = TrainSpec(seed=42, optimization=keys, device=Device("cpu", "fp32"))
    trained, outcome = causal.train(model, steps, spec)
    return trained, [point["loss"] for point in outcome.curve]


@pytest.mark.slow
def test_bash_with_trl(folder: Path, data: Path, tmp_path: Path) -> None:
    found = losses_of("bash_with_trl", data, folder, tmp_path / "out")
    rows = selfgen.bash_rows(data, folder, beta=0.25, seed=0, precision="fp32")
    _, wanted = ours(loading.load(folder), list(rows), 3e-5)
    assert found == pytest.approx(wanted, rel=1e-3)


@pytest.mark.slow
def test_rac_with_lora(folder: Path, data: Path, tmp_path: Path) -> None:
    found = losses_of("rac_with_lora", data, folder, tmp_path / "out")
    rows = selfgen.rac_rows(
        data, folder, correction_share=0.5, seed=0, precision="fp32"
    )
    # Fresh adapters change nothing, so the first step is that of the model alone.
    _, wanted = ours(loading.load(folder), list(rows)[:BATCH], 2e-4)
    assert found[0] == pytest.approx(wanted[0], rel=1e-3)
    assert len(found) == 3
    before, after = (loading.load(x).state_dict() for x in (folder, tmp_path / "out"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if name.endswith("_proj.weight")}


@pytest.mark.slow
def test_rounds(folder: Path, data: Path, tmp_path: Path) -> None:
    """The second epoch's rows are drawn by the model that the first has trained."""
    found = losses_of("rounds", data, folder, tmp_path / "out")
    assert len(found) == 6
    tokenizer = load_tokenizer(folder)
    first = selfgen.bash_rows(data, folder, beta=0.25, seed=0, precision="fp32")
    _, wanted = ours(loading.load(folder), list(first), 3e-5)
    assert found[0] == pytest.approx(wanted[0], rel=1e-3)

    fresh = selfgen.FreshRows(data, tokenizer, beta=0.25, seed=0)
    model = loading.load(folder)
    arguments = TrainingArguments(str(tmp_path / "a"), report_to="none")
    epochs = []
    for _ in range(2):
        fresh.on_epoch_begin(arguments, None, None, model=model)
        epochs.append(fresh.dataset[:]["input_ids"])
        with torch.no_grad():  # as training would
            model.lm_head.weight.add_(torch.randn_like(model.lm_head.weight))
    assert epochs[0] == first["input_ids"][:]
    again = selfgen.bash_rows(data, folder, beta=0.25, seed=1, precision="fp32")
    assert epochs[1] != again["input_ids"][:]
    assert fresh.dataset[:]["labels"] == first["labels"][:]


@pytest.mark.slow
def test_online(folder: Path, data: Path, tmp_path: Path) -> None:
    """The first batch is that of BASH; later ones are not, for the model has changed."""
    found = losses_of("online", data, folder, tmp_path / "out")
    rows = selfgen.bash_rows(data, folder, beta=0.25, seed=0, precision="fp32")
    _, wanted = ours(loading.load(folder), list(rows), 3e-5)
    assert found[0] == pytest.approx(wanted[0], rel=1e-3)

    tokenizer, model = load_tokenizer(folder), loading.load(folder)
    collate = selfgen.OnlineCollator(model, tokenizer, beta=0.5, seed=3)
    plain = list(selfgen.sft_rows(data, tokenizer))
    mixed = list(selfgen.bash_rows(data, folder, beta=0.5, seed=3, precision="fp32"))
    batch = collate(plain[:3])
    for row, ids, labels in zip(
        mixed, batch["input_ids"], batch["labels"], strict=False
    ):
        size = len(row["input_ids"])
        assert ids[:size].tolist() == row["input_ids"]
        assert labels[:size].tolist() == row["labels"]
        assert set(labels[size:].tolist()) <= {-100}
    second = collate(plain[:3])["input_ids"]
    assert second.tolist() != batch["input_ids"].tolist()  # other draws
    with pytest.raises(selfgen.UserError, match="found none with an id; allowed"):
        collate([{k: v for k, v in plain[0].items() if k != "id"}])
    with pytest.raises(selfgen.UserError, match="without a prompt and a whole answer"):
        collate([plain[0] | {"labels": [-100] * len(plain[0]["labels"])}])


def test_trl_leaves_labels_as_they_are(
    folder: Path, data: Path, tmp_path: Path
) -> None:
    """Padded, packed and without padding: the labels of a step are those of its rows."""
    from trl import SFTConfig, SFTTrainer

    rows = selfgen.bash_rows(data, folder, beta=0.5, seed=0, precision="fp32")
    wanted = sorted(x for labels in rows["labels"] for x in labels[1:] if x != -100)
    for how in ({}, {"packing": True, "max_length": 256}, {"padding_free": True}):
        more = {"max_length": None} | how
        if how:  # reads by an attention that knows where rows end
            more["model_init_kwargs"] = {"attn_implementation": "sdpa"}
        trainer = SFTTrainer(
            str(folder),
            args=SFTConfig(
                str(tmp_path / "trl"),
                per_device_train_batch_size=5,
                report_to="none",
                use_cpu=True,
                bf16=False,
                **more,
            ),
            train_dataset=rows,
            processing_class=load_tokenizer(folder),
        )
        seen = []
        for batch in trainer.get_train_dataloader():
            ids, labels = batch["input_ids"], batch["labels"]
            seen += labels[labels != -100].tolist()
            assert (ids[labels != -100] != labels[labels != -100]).any()  # own tokens
        assert sorted(seen) == wanted, how


def test_rows_of_dialogues_keep_their_turns(folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    chat = [
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": f"One {n}?"},
                {"role": "assistant", "content": "1"},
                {"role": "user", "content": "Two?"},
                {"role": "assistant", "content": "2"},
            ]
        }
        for n in range(3)
    ]
    fresh = selfgen.FreshRows(chat, tokenizer, beta=0.5, seed=0, max_answer_tokens=8)
    arguments = TrainingArguments("unused", report_to="none")
    fresh.on_epoch_begin(arguments, None, None, model=loading.load(folder))
    rows = selfgen.bash_rows(
        chat, folder, beta=0.5, seed=0, max_answer_tokens=8, precision="fp32"
    )
    assert fresh.dataset[:]["input_ids"] == rows["input_ids"][:]
    text = tokenizer.decode(rows[0]["input_ids"])
    assert text.startswith(
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nOne"
    )


def test_what_keeps_old_rows_is_refused(
    folder: Path, data: Path, tmp_path: Path
) -> None:
    tokenizer = load_tokenizer(folder)
    fresh = selfgen.FreshRows(data, tokenizer)
    arguments = TrainingArguments(
        str(tmp_path), report_to="none", dataloader_num_workers=2
    )
    with pytest.raises(
        selfgen.UserError, match="dataloader_num_workers: found 2, allow"
    ):
        fresh.on_epoch_begin(arguments, None, None, model=None)
    model = loading.load(folder)
    adapted = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"]))
    assert whole(torch.nn.DataParallel(adapted)) is adapted
    twice = selfgen.FreshRows(
        data, tokenizer, selfgen.rac_rows, correction_rows="add", max_answer_tokens=4
    )
    arguments = TrainingArguments(str(tmp_path), report_to="none")
    with pytest.raises(selfgen.UserError, match="of 10 records, allowed: one each"):
        twice.on_epoch_begin(arguments, None, None, model=adapted)


@pytest.mark.slow
def test_compare_models(folder: Path, data: Path, tmp_path: Path) -> None:
    other, out = tiny(tmp_path / "other", num_hidden_layers=1), tmp_path / "out"
    call = [sys.executable, "examples/compare_models.py"]
    done = subprocess.run(
        [*call, str(data), str(folder), str(other), str(out)],
        cwd=REPO,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((out / "measure.json").read_text())["measures"]
    assert {line["model"] for line in found} == {"first", "second"}
    assert all(
        line["difference"] is not None for line in found if line["model"] == "second"
    )
    assert "Exposure bias of first, second" in (out / "measure.html").read_text()

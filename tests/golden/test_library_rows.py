"""Rows of ``import selfgen`` against those of the workflow's steps, and what trainers do with
them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch

import selfgen
from selfgen.config.tasks import CORRECTION
from selfgen.core.spec import Device, Sampling
from selfgen.data.prompts import PromptSpec, load_tokenizer
from selfgen.generation.passes import run_pass
from selfgen.generation.spec import PassSpec
from selfgen.library import rows as library
from selfgen.methods.bash import BashRows
from selfgen.methods.rac import RacRows
from selfgen.methods.random import RandomRows
from selfgen.mixing.build import build
from selfgen.mixing.spec import RowsSpec
from selfgen.models import loading
from tests.tiny import tiny

DATA = [
    {"id": f"r{n}", "prompt": f"Say {n}.", "reference": f"Here it is: {n * 7}."}
    for n in range(11)
]
PROMPT = PromptSpec("{prompt}", CORRECTION, 512, 24)
COMMON: dict[str, Any] = {"seed": 3, "rows": (0, 11), "epochs": 2, "prompt": PROMPT}
GIVEN: dict[str, Any] = {"seed": 3, "epochs": 2, "max_answer_tokens": 24}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    return loading.load(folder)


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Any:
    return load_tokenizer(folder)


def of_workflow(folder: Path, tokenizer: Any, method: Any, **drawing: Any) -> Any:
    """By (id, epoch): the rows that the workflow's steps make."""
    spec = PassSpec(
        sampling=Sampling(temperature=1.0), device=Device("cpu"), **drawing, **COMMON
    )
    passed = list(run_pass(DATA, folder, spec).rows)
    spec = RowsSpec(method=method, batch_size=3, **COMMON)
    return keyed(build([dict(row) for row in DATA], passed, spec, tokenizer))


def keyed(rows: Any) -> dict[tuple[str, int], list[Any]]:
    found: dict[tuple[str, int], list[Any]] = {}
    for row in rows:
        fields = [row[key] for key in ("input_ids", "labels", "attention_mask")]
        found.setdefault((row["id"], row["epoch"]), []).append(fields)
    return found


def test_bash_and_its_control_are_those_of_the_workflow(
    folder: Path, model: Any, tokenizer: Any
) -> None:
    rows = selfgen.bash_rows(DATA, folder, beta=0.5, precision="fp32", **GIVEN)
    wanted = of_workflow(
        folder, tokenizer, BashRows(mix="bash"), kind="forced", beta=0.5
    )
    assert keyed(rows) == wanted
    assert rows["epoch"][:] == [0] * 11 + [1] * 11  # in the order of the data
    assert rows["id"][:11] == [row["id"] for row in DATA]
    for row in rows:
        (ids, labels, _), *_ = wanted[row["id"], row["epoch"]]
        differ = [b not in (-100, a) for a, b in zip(ids, labels, strict=True)]
        assert row["changed"] == differ
    assert any(any(changed) for changed in rows["changed"])

    again = selfgen.bash_rows(DATA, model, tokenizer, beta=0.5, **GIVEN)
    assert again.to_list() == rows.to_list()

    control = selfgen.random_rows(rows, seed=3, tokenizer=tokenizer)
    assert keyed(control) == of_workflow(
        folder, tokenizer, RandomRows(mix="random"), kind="forced", beta=0.5
    )
    assert control["changed"][:] == rows["changed"][:]
    assert control["input_ids"][:] != rows["input_ids"][:]


@pytest.mark.parametrize("more", ["replace", "add"])
def test_rac_is_that_of_the_workflow(folder: Path, tokenizer: Any, more: str) -> None:
    rows = selfgen.rac_rows(
        DATA, folder, correction_rows=more, precision="fp32", **GIVEN
    )
    method = RacRows.model_validate({"mix": "rac", "correction_rows": more})
    assert keyed(rows) == of_workflow(folder, tokenizer, method, kind="free")
    assert "changed" not in rows.column_names
    assert any(len(found) > 1 for found in keyed(rows).values()) == (more == "add")


def test_onepass_runs_of_tokens_and_labels(folder: Path, tokenizer: Any) -> None:
    for draw, kind in (("onepass", "onepass"), ("autoregressive", "forced")):
        how = (
            {"loss_on": "behind-changed"}
            if draw == "onepass"
            else {"labels": "aligned"}
        )
        rows = selfgen.bash_rows(
            DATA, folder, draw=draw, span=3, beta=0.4, precision="fp32", **how, **GIVEN
        )
        method = BashRows.model_validate({"mix": "bash", **how})
        assert keyed(rows) == of_workflow(
            folder, tokenizer, method, kind=kind, span=3, beta=0.4
        )


FORMS = {
    "completion": [
        {"id": r["id"], "prompt": r["prompt"], "completion": r["reference"]}
        for r in DATA
    ],
    "chat": [
        {
            "id": r["id"],
            "messages": [
                {"role": "user", "content": r["prompt"]},
                {"role": "assistant", "content": r["reference"]},
            ],
        }
        for r in DATA
    ],
    "both": [
        {
            "id": r["id"],
            "prompt": [{"role": "user", "content": r["prompt"]}],
            "completion": [{"role": "assistant", "content": r["reference"]}],
        }
        for r in DATA
    ],
}


def test_every_form_of_data_gives_the_same_rows(
    model: Any, tokenizer: Any, tmp_path: Path
) -> None:
    wanted = selfgen.bash_rows(DATA, model, tokenizer, **GIVEN).to_list()
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in FORMS["completion"]))
    forms = [
        *FORMS.values(),
        datasets.Dataset.from_list(FORMS["chat"]),
        path,
        str(path),
    ]
    for data in [*forms, iter(DATA)]:
        made = selfgen.bash_rows(data, model, tokenizer, **GIVEN)
        assert made.to_list() == wanted
    other = [{"q": r["prompt"], "a": r["reference"], "n": r["id"]} for r in DATA]
    columns = selfgen.Columns("{q}", "a", id="n")
    made = selfgen.bash_rows(other, model, tokenizer, columns=columns, **GIVEN)
    assert made.to_list() == wanted


def test_a_call_that_was_killed_goes_on(
    folder: Path, model: Any, tokenizer: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(library, "CHUNK", 4)
    wanted = selfgen.bash_rows(DATA, model, tokenizer, **GIVEN).to_list()
    done: list[tuple[int, int]] = []

    def killed(finished: int, total: int) -> None:
        done.append((finished, total))
        if finished > 4:
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        selfgen.bash_rows(DATA, model, tokenizer, out=out, progress=killed, **GIVEN)
    assert done == [(4, 11), (8, 11)]
    rows = selfgen.bash_rows(
        DATA, model, tokenizer, out=out, progress=lambda *n: done.append(n), **GIVEN
    )
    assert done[2:] == [(11, 11)]
    assert rows.to_list() == wanted
    for change in ({"beta": 0.5}, {"seed": 4}):
        with pytest.raises(selfgen.UserError, match="with rows of other data, another"):
            selfgen.bash_rows(DATA, model, tokenizer, out=out, **(GIVEN | change))
    copy = shutil.copytree(folder, tmp_path / "copy")
    selfgen.bash_rows(DATA, copy, out=tmp_path / "of", **GIVEN)
    selfgen.bash_rows(DATA, copy, out=tmp_path / "of", **GIVEN)
    os.utime(copy / "model.safetensors")  # as if it had been trained on
    with pytest.raises(selfgen.UserError, match="with rows of other data, another"):
        selfgen.bash_rows(DATA, copy, out=tmp_path / "of", **GIVEN)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "notes.txt").write_text("mine")
    with pytest.raises(selfgen.UserError, match="with other files, allowed: none"):
        selfgen.bash_rows(DATA, model, tokenizer, out=tmp_path / "used", **GIVEN)


def test_a_model_is_given_back_as_it_was(folder: Path, tokenizer: Any) -> None:
    from peft import LoraConfig, get_peft_model

    model = loading.load(folder)
    adapted = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"])).train()
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.normal_()
    before = adapted.base_model.model.config._attn_implementation
    rows = selfgen.bash_rows(DATA, adapted, tokenizer, beta=0.9, **GIVEN)
    assert adapted.training
    assert adapted.base_model.model.config._attn_implementation == before
    plain = selfgen.bash_rows(DATA, folder, beta=0.9, precision="fp32", **GIVEN)
    assert rows.to_list() != plain.to_list()  # the adapter draws


@pytest.mark.parametrize(
    ("data", "given", "said"),
    [
        ([], {}, "data: found no rows"),
        (
            [{"q": 1}],
            {},
            "data: found the columns q, allowed: messages, prompt and ref",
        ),
        ([{"prompt": "a", "reference": ""}], {}, "data: row 0 is empty in `reference`"),
        (
            [DATA[0], DATA[0]],
            {},
            "row 1 says the same as another row; mend them, or le",
        ),
        ({"train": DATA}, {}, "of a DatasetDict one of its splits"),
        (["text"], {}, "row 0: found 'text', no columns"),
        (DATA, {"beta": 1.5}, "beta: found 1.5"),
        (
            DATA,
            {"draw": "exact"},
            "draw: found 'exact', allowed: autoregressive, onepass",
        ),
        (DATA, {"epochs": 0}, "epochs: found 0"),
    ],
)
def test_what_cannot_be_is_said(
    model: Any, tokenizer: Any, data: Any, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(selfgen.UserError, match=said):
        selfgen.bash_rows(data, model, tokenizer, **given)


def test_a_model_without_tokenizer_and_rows_without_labels(
    model: Any, tokenizer: Any
) -> None:
    with pytest.raises(selfgen.UserError, match="tokenizer: found none, allowed"):
        selfgen.bash_rows(DATA, model)
    with pytest.raises(selfgen.UserError, match="model: found nowhere, allowed: a fo"):
        selfgen.bash_rows(DATA, "nowhere")
    rows = selfgen.bash_rows(DATA, model, tokenizer, loss_on="kept", beta=0.9)
    with pytest.raises(selfgen.UserError, match="without all labels of its answer"):
        selfgen.random_rows(rows, tokenizer=tokenizer)

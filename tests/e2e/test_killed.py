"""A run whose processes are all killed, again and again, at moments of all kinds, ends with
the bytes of one that nobody disturbed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet
import pytest

from selfgen.core.rows import write_rows
from selfgen.data.chat_templates import CHATML
from selfgen.models import base
from selfgen.models.base import ModelSpec
from tests import steps
from tests.e2e.conftest import KILLS, RUN, copy, results
from tests.flow import Flow
from tests.unit.test_training import SPEC, rows

STEPS = 120
CORES = ("--cores", "3")
OFTEN = ("--set-resources", "finetune:checkpoint_minutes=0")
SHARDS = ("generate_answers:shards=2", "generate_pass:shards=2")
MOMENTS = ("checkpoint", "finetune", "generate_pass", "generate_answers", "any")


def start(flow: Flow) -> subprocess.Popen[bytes]:
    """The run, in a session of its own, by which all its processes are known."""
    environment = os.environ | {"PYTHONPATH": "", "PATH": "/usr/bin:/bin"}
    with (flow.root / "run.log").open("ab") as log:
        return subprocess.Popen(
            [Path(sys.executable).parent / "snakemake", *RUN, *CORES, *OFTEN, *SHARDS],
            cwd=flow.root,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def members(session: int) -> dict[int, list[str]]:
    """Command lines of the live processes of a session."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            # After the name, which may hold anything: state, parent, group, session.
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            line = (path / "cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found[int(path.name)] = line
    return found


def kill(session: int) -> None:
    while alive := members(session):
        for process in alive:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue


def steps_of(session: int) -> dict[int, str]:
    """The live jobs, and what they do."""
    return {
        process: line[line.index("selfgen") + 2]
        for process, line in members(session).items()
        if "selfgen" in line[:-2] and "-m" in line
    }


def strike(
    flow: Flow, run: subprocess.Popen[bytes], moment: str, draw: random.Random
) -> Counter[str]:
    """Kill all at a moment of that kind, and a drawn time later; what was going on then.
    A run that ends before is not killed."""
    first, end = _step(flow), time.monotonic() + 300

    def comes() -> bool:
        if moment in ("checkpoint", "finetune") and _step(flow) < first + 5:
            return False
        wanted = {"checkpoint": "finetune", "any": ""}.get(moment, moment)
        return not wanted or wanted in steps_of(run.pid).values()

    while run.poll() is None and not comes() and time.monotonic() < end:
        time.sleep(0.01)
    if moment != "checkpoint":
        time.sleep(draw.uniform(0.0, 3.0))
    elif run.poll() is None:
        _stop_in_a_write(flow, run)
    alive = run.poll() is None
    seen = Counter(set(steps_of(run.pid).values())) if alive else Counter()
    kill(run.pid)
    run.wait()
    seen["checkpoint"] = alive and _writes(flow)
    return seen


def _stop_in_a_write(flow: Flow, run: subprocess.Popen[bytes]) -> None:
    """Let no training go on that writes a checkpoint."""
    while trainings := [
        p for p, name in steps_of(run.pid).items() if name == "finetune"
    ]:
        for _ in range(200):
            if _writes(flow):
                for process in trainings:
                    os.kill(process, signal.SIGSTOP)
                if _writes(flow):
                    return
                for process in trainings:
                    os.kill(process, signal.SIGCONT)
            time.sleep(0.001)


def _writes(flow: Flow) -> bool:
    """Whether a checkpoint is being written."""
    return any((flow.root / "scratch").glob("*/step-*.tmp"))


def _step(flow: Flow) -> int:
    """The newest complete checkpoint."""
    found = (flow.root / "scratch").glob("*/step-????????")
    return max((int(path.name.split("-")[1]) for path in found), default=0)


@pytest.mark.slow
def test_a_killed_training_ends_with_the_same_weights(tmp_path: Path) -> None:
    """Killed between the writes of checkpoints and inside of them, in turn."""
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    shape |= {"num_attention_heads": 4}
    base.prepare(
        ModelSpec("random", None, CHATML, "llama", shape), None, tmp_path / "base"
    )
    write_rows(tmp_path / "rows.parquet", rows(STEPS))
    flow, seen = Flow(tmp_path), Counter()
    for number in range(4):
        run = training(tmp_path, "killed")
        before = _step(flow)
        while run.poll() is None and _step(flow) < before + 5:
            time.sleep(0.001)
        if number % 2:
            _stop_in_a_write(flow, run)
        else:
            while run.poll() is None and _writes(flow):
                time.sleep(0.001)
        assert run.poll() is None, "it was done too soon"
        kill(run.pid)
        run.wait()
        seen[_writes(flow)] += 1
    assert seen[True] and seen[False], seen
    for name in ("killed", "whole"):
        assert training(tmp_path, name).wait(300) == 0
    assert "resumed after step" in (tmp_path / "killed.log").read_text()
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        files = [tmp_path / kind / "weights" / name for kind in ("killed", "whole")]
        assert files[0].read_bytes() == files[1].read_bytes(), name
    curves = [
        [json.loads(line) for line in (tmp_path / name / "curve.jsonl").open()]
        for name in ("killed", "whole")
    ]
    for point in (*curves[0], *curves[1]):
        del point["tokens_per_second"]
    assert curves[0] == curves[1] and len(curves[0]) == STEPS


def training(root: Path, name: str) -> subprocess.Popen[bytes]:
    """The step alone, in a session of its own; a checkpoint after every step."""
    how = {"scratch": "scratch", "checkpoint_minutes": 0, "threads": 1}
    command = steps.training(SPEC, Path(), Path(name), **how)
    with (root / f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            command, cwd=root, stdout=log, stderr=log, start_new_session=True
        )


@pytest.mark.slow
def test_killed_runs_end_with_the_same_bytes(whole: Flow, tmp_path: Path) -> None:
    """Nor does it matter where it runs, on how many cores, and in how many jobs."""
    flow = copy(tmp_path / "another folder")
    draw, seen, resumed = random.Random(0), Counter(), 0
    for number in range(KILLS):
        run = start(flow)
        seen += strike(flow, run, MOMENTS[number % len(MOMENTS)], draw)
        resumed += _resumed(flow)
    last = start(flow)
    assert last.wait(600) == 0, (flow.root / "run.log").read_text()[-5000:]
    resumed += _resumed(flow)
    for what in ("checkpoint", "finetune", "generate_pass"):
        assert seen[what], f"no kill came during {what}: {seen}"
    assert resumed, "no training went on from a checkpoint"
    expected, found = results(whole.root), results(flow.root)
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []
    for name in (name for name in found if name.startswith("results/passes")):
        rows = pyarrow.parquet.read_table(flow.root / name).to_pylist()
        assert len({(row["id"], row["epoch"]) for row in rows}) == len(rows)
        made = json.loads((flow.root / name).with_suffix(".json").read_text())["run"]
        assert [part["shard"] for part in made] == [0, 1]
    assert flow.rules(*RUN) == {}


def _resumed(flow: Flow) -> int:
    logs = (flow.root / "logs" / "finetune").rglob("*.log")
    return sum("resumed after step" in path.read_text() for path in logs)

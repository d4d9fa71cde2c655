"""Which command starts the processes of a training."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from tests.flow import REPO

from selfgen.core.errors import UserError
from selfgen.runtime.launching import command

CONFIG = REPO / "profiles" / "launch" / "fsdp2.yaml"
JOB = {"SLURM_JOB_ID": "40007"}


def test_several_machines_begin_with_a_step_of_their_own() -> None:
    """In the batch script of a job and in a step on one machine of it; within the step
    each machine starts its processes, and all meet at one address."""
    for place in ({}, {"SLURM_STEP_NUM_TASKS": "1"}):
        found = command(["step"], JOB | place, processes=16, nodes=2, config=CONFIG)
        step = ["--nodes=2", "--ntasks=2", "--ntasks-per-node=1"]
        assert found[:5] == ["srun", "--overlap", *step]
        assert found[-3:] == ["-m", "selfgen", "step"]
    step = {"SLURM_STEP_NUM_TASKS": "2", "SLURM_LAUNCH_NODE_IPADDR": "10.0.0.1"}
    for rank in "01":
        environ = JOB | step | {"SLURM_PROCID": rank}
        found = command(["step"], environ, processes=16, nodes=2, config=CONFIG)
        said = dict(itertools.pairwise(found))
        assert said["--num_processes"] == "16"
        assert said["--machine_rank"] == rank
        assert said["--main_process_ip"] == "10.0.0.1"
        assert said["--main_process_port"] == "20007"


@pytest.mark.parametrize(
    ("environ", "how", "line"),
    [
        ({}, {"nodes": 4, "config": CONFIG}, "found 4 outside of Slurm, allowed: 1"),
        (JOB, {"nodes": 4}, "--nodes: found 4 without --launch, which they need"),
        (JOB, {"nodes": 3, "config": CONFIG}, "allowed: a multiple of the 3 nodes"),
        ({}, {"config": Path("no.yaml")}, "--launch: found no file no.yaml"),
    ],
)
def test_what_cannot_be_started(environ: dict, how: dict, line: str) -> None:
    with pytest.raises(UserError, match=line):
        command(["step"], environ, processes=4, **how)

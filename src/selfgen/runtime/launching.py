"""Processes of one fine-tuning: on one machine, or on several that Slurm gave a job."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from selfgen.core.errors import UserError

STATE = "SELFGEN_STATE"
"""Variable by which a launcher names to its processes the folder of the state, and says that
it has checked the inputs."""

PORTS = range(20000, 60000)
"""Ports at which the machines of a job meet; the job's number selects one."""


def command(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    *,
    processes: int,
    nodes: int = 1,
    config: Path | None = None,
) -> list[str]:
    """The command that runs ``selfgen`` with ``arguments`` in ``processes`` processes, as
    many on each of the ``nodes``; each has ``LOCAL_RANK`` in its environment.

    ``config``: the configuration of ``accelerate launch``; required for several nodes, since
    it says what they share. On one node a free port is used. On several, each node runs the
    command as a task of one step of a Slurm job; outside of such a step the returned command
    starts one.

    Raises UserError: a missing file, processes that the nodes cannot share, or several nodes
    without a config or without Slurm.
    """
    own = ["-m", "selfgen", *arguments]
    if config is None and nodes == 1:
        launcher = ["-m", "torch.distributed.run", "--standalone"]
        return [sys.executable, *launcher, "--nproc-per-node", str(processes), *own]
    if config is None:
        raise UserError(f"--nodes: found {nodes} without --launch, which they need")
    if not config.is_file():
        raise UserError(f"--launch: found no file {config}")
    if processes % nodes:
        raise UserError(
            f"--processes: found {processes}, allowed: a multiple of the {nodes} nodes"
        )
    launcher = ["-m", "accelerate.commands.launch", "--config_file", str(config)]
    launcher += ["--num_processes", str(processes)]
    launcher += ["--num_machines", str(nodes)]
    if nodes == 1:
        return [sys.executable, *launcher, "--main_process_port", "0", *own]
    if "SLURM_JOB_ID" not in environ:
        raise UserError(f"--nodes: found {nodes} outside of Slurm, allowed: 1")
    if environ.get("SLURM_STEP_NUM_TASKS") != str(nodes):
        step = [f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1"]
        # It may itself be in a step, which holds all that the job was given.
        return ["srun", "--overlap", *step, sys.executable, *own]
    port = PORTS[int(environ["SLURM_JOB_ID"]) % len(PORTS)]
    launcher += ["--machine_rank", environ["SLURM_PROCID"]]
    launcher += ["--main_process_ip", environ["SLURM_LAUNCH_NODE_IPADDR"]]
    launcher += ["--main_process_port", str(port), "--same_network"]
    return [sys.executable, *launcher, *own]

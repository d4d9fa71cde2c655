"""A real Slurm of one node on loopback, for tests: no systemd, no accounting, made-up GPUs.

Debian's packages munge, slurmctld, slurmd and slurm-client are needed, and root, since the
nested ``srun`` of Snakemake's job steps looks for the configuration in /etc/slurm alone.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue")
SYSTEM = Path("/etc/slurm")
GPUS = ("/dev/null", "/dev/zero")
"""slurmd wants character devices, and any will do."""

CONFIG = """\
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge/socket
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.pid
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
GresTypes=gpu
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={root}/jobs.txt
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,sched_interval=2,bf_interval=5
PriorityType=priority/basic
MinJobAge=3600
EnforcePartLimits=ALL
KillWait=5
InactiveLimit=0
ReturnToService=2
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=200000 Gres=gpu:{gpus} State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=UNLIMITED DefMemPerCPU=512 State=UP
"""


def why_not() -> str | None:
    """Why no Slurm can be started here; None where one can."""
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing:
        packages = "apt-get install munge slurmctld slurmd slurm-client"
        return f"no Slurm here: {', '.join(missing)} missing ({packages})"
    if os.geteuid() != 0:
        return "no Slurm here: only root can put its configuration at /etc/slurm"
    conf = SYSTEM / "slurm.conf"
    if conf.exists() and not conf.is_symlink():
        return f"no Slurm of ours here: {conf} is that of another"
    return None


@dataclass(frozen=True)
class Lab:
    """The running Slurm."""

    root: Path

    def jobs(self) -> list[dict[str, str]]:
        """All jobs that there were, as ``scontrol show job`` has them."""
        done = subprocess.run(
            ["scontrol", "show", "job", "-o"],
            capture_output=True,
            text=True,
            check=True,
        )
        return [
            dict(part.partition("=")[::2] for part in line.split())
            for line in done.stdout.splitlines()
            if line.startswith("JobId=")
        ]

    def live(self) -> list[dict[str, str]]:
        """Those that run or wait."""
        live = ("RUNNING", "PENDING", "COMPLETING", "CONFIGURING")
        return [job for job in self.jobs() if job["JobState"] in live]


@contextlib.contextmanager
def start(root: Path) -> Iterator[Lab]:
    """A Slurm whose state lies in ``root``; it ends with the block, and its jobs too."""
    host = socket.gethostname().split(".")[0]
    _resolve(host)
    for name in ("munge", "state", "spool"):
        (root / name).mkdir(parents=True)
    root.chmod(0o755)
    (root / "munge").chmod(0o711)
    key = root / "munge" / "key"
    key.touch(0o600)
    key.write_bytes(os.urandom(256))
    facts = {"root": root, "host": host, "ports": _free_ports(2), "gpus": len(GPUS)}
    (root / "slurm.conf").write_text(CONFIG.format(**facts))
    (root / "gres.conf").write_text(
        "".join(f"NodeName={host} Name=gpu File={device}\n" for device in GPUS)
    )
    links = _link(root)
    munge = [
        f"--{name}={root}/munge/{name}" for name in ("socket", "pid-file", "seed-file")
    ]
    munged = ["munged", "--force", "--foreground", f"--key-file={key}", *munge]
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        for command in (munged, ["slurmctld", "-D"], ["slurmd", "-D"]):
            with (root / f"{command[0]}.log").open("wb") as log:
                daemons.append(
                    subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
                )
            if command is munged:
                _wait(lambda: (root / "munge" / "socket").exists(), root)
        _wait(_is_idle, root)
        yield Lab(root)
    finally:
        subprocess.run(["scancel", "--user=root"], check=False, capture_output=True)
        time.sleep(1)
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
        for link in links:
            link.unlink(missing_ok=True)


def _resolve(host: str) -> None:
    try:
        socket.gethostbyname(host)
    except OSError:
        with Path("/etc/hosts").open("a") as file:
            file.write(f"127.0.0.1 {host}\n")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        found = []
        for _ in range(count):
            one = stack.enter_context(socket.socket())
            one.bind(("127.0.0.1", 0))
            found.append(one.getsockname()[1])
        return found


def _link(root: Path) -> list[Path]:
    SYSTEM.mkdir(exist_ok=True)
    links = []
    for name in ("slurm.conf", "gres.conf"):
        link = SYSTEM / name
        if link.is_symlink():
            link.unlink()
        link.symlink_to(root / name)
        links.append(link)
    return links


def _is_idle() -> bool:
    done = subprocess.run(
        ["sinfo", "-h", "-o", "%t"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() == "idle"


def _wait(ready: object, root: Path) -> None:
    for _ in range(150):
        if ready():  # type: ignore[operator]
            return
        time.sleep(0.2)
    logs = "\n".join(path.read_text()[-2000:] for path in root.glob("*.log"))
    raise RuntimeError(f"Slurm did not start:\n{logs}")

"""Go on with a run that was killed: cancel the Slurm jobs that it left behind, end its other
jobs on this machine, unlock its folder, and run Snakemake with the arguments that it was
called with."""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.runtime import cluster, runs


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--directory", type=Path, default=Path(), help="where Snakemake ran"
    )
    parser.epilog = "What stands behind -- are the arguments of that call of Snakemake."


def run(args: Namespace) -> None:
    if left := runs.end(args.directory):
        print(f"ended: {', '.join(map(str, left))}", flush=True)
    jobs = cluster.cancel(args.directory)
    if jobs:
        print(f"cancelled: {', '.join(jobs)}", flush=True)
    given = args.snakemake
    command = [sys.executable, "-m", "snakemake", "--directory", str(args.directory)]
    for call in ([*command, "--unlock", *given], [*command, *given]):
        if code := subprocess.run(call, check=False).returncode:
            sys.exit(code)  # Snakemake has said why

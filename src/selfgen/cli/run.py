"""Run a configuration: a call of Snakemake in its folder, with all cores. What is there is
not made again, and a run that was stopped goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import ArgumentParser, Namespace

from selfgen.cli import where
from selfgen.core import places
from selfgen.graph import paths


def add_arguments(parser: ArgumentParser) -> None:
    where.add_arguments(parser)
    parser.add_argument("--cores", default="all", help="how many; all by default")
    parser.epilog = "What stands behind -- goes to Snakemake."


def run(args: Namespace) -> None:
    asked = where.found(args)
    command = [*call(asked, args.cores), *args.snakemake]
    environment = {**os.environ}
    # It says what fetches and what does not by itself.
    environment.pop("HF_HUB_OFFLINE", None)
    if code := subprocess.run(command, env=environment, check=False).returncode:
        sys.exit(code)  # Snakemake has said why
    table = asked.folder / paths.fill(paths.TABLE, table="main", kind="md")
    if table.is_file() and not args.snakemake:
        print(table.read_text(encoding="utf-8"))
        print(f"all tables: {table.parent}")


def call(asked: where.Asked, cores: str) -> list[str]:
    """Of Snakemake, for this configuration."""
    command = [sys.executable, "-m", "snakemake"]
    command += ["--snakefile", str(places.root() / "Snakefile")]
    command += ["--directory", str(asked.folder)]
    command += ["--configfile", *map(str, asked.paths)]
    return [*command, "--cores", cores]

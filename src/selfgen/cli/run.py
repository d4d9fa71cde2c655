"""Run a configuration: a call of Snakemake in its folder, with all cores. What is there is
not made again, and a run that was stopped goes on."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.cli import where
from selfgen.core import places
from selfgen.graph import paths


def add_arguments(parser: ArgumentParser) -> None:
    where.add_arguments(parser, Path(where.NAME))
    parser.add_argument("--cores", default="all", help="how many; all by default")
    parser.add_argument(
        "snakemake", nargs=argparse.REMAINDER, help="more for Snakemake, after --"
    )


def run(args: Namespace) -> None:
    path, folder = where.found(args)
    more = args.snakemake[1:] if args.snakemake[:1] == ["--"] else args.snakemake
    command = [sys.executable, "-m", "snakemake"]
    command += ["--snakefile", str(places.root() / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(path)]
    command += ["--cores", args.cores, "--logger", "timeleft", *more]
    environment = {**os.environ}
    # It says what fetches and what does not by itself.
    environment.pop("HF_HUB_OFFLINE", None)
    environment.setdefault("SELFGEN_PROGRESS", "terminal")
    if code := subprocess.run(command, env=environment, check=False).returncode:
        sys.exit(code)  # Snakemake has said why
    table = folder / paths.fill(paths.TABLE, table="main", kind="md")
    if table.is_file() and not more:
        print(table.read_text(encoding="utf-8"))
        print(f"all tables: {table.parent}")

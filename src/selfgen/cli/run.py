"""Run a configuration: a call of Snakemake in its folder, with all cores. What is there is not
made again, and a run that was stopped goes on."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.core import places
from selfgen.core.errors import UserError
from selfgen.graph import paths

NAME = "config.yaml"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "config",
        type=Path,
        nargs="?",
        default=Path(NAME),
        help=f"a configuration, or a folder with {NAME}; ./{NAME} by default",
    )
    parser.add_argument(
        "--directory",
        type=Path,
        help="where results go, and where paths begin; the configuration's folder by default",
    )
    parser.add_argument("--cores", default="all", help="how many; all by default")
    parser.add_argument(
        "snakemake", nargs=argparse.REMAINDER, help="more for Snakemake, after --"
    )


def run(args: Namespace) -> None:
    given = args.config / NAME if args.config.is_dir() else args.config
    if not given.is_file():
        raise UserError(
            f"{given}: found no configuration; `selfgen new DATA MODEL` writes one"
        )
    path = given.absolute()
    folder = (args.directory or path.parent).absolute()
    folder.mkdir(parents=True, exist_ok=True)
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

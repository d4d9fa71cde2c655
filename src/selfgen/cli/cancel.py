"""Cancel the jobs of Slurm that a killed run left behind."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.runtime import cluster


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--directory", type=Path, default=Path(), help="where Snakemake ran"
    )


def run(args: Namespace) -> None:
    jobs = cluster.cancel(args.directory)
    print(f"cancelled: {', '.join(jobs)}" if jobs else "nothing to cancel")

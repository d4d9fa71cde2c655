"""Collect controlled runs into the tables that renderings read."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.cli import common
from selfgen.core.provenance import atomic, write_json
from selfgen.report.synthetic.collect import collect


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="folders")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")


def run(args: Namespace) -> None:
    for path in (path for run in args.runs for path in run.glob("*.parquet")):
        common.unchanged(path)
    frames, manifests = collect(args.runs)
    with atomic(args.out / "scores.parquet") as partial:
        frames["scores"].to_parquet(partial, index=False, compression="zstd")
    for name in ("positions", "curves", "runs"):
        with atomic(args.out / f"{name}.csv") as partial:
            frames[name].to_csv(partial, index=False)
    write_json(args.out / "manifests.json", manifests)

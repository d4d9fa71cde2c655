"""What a preference stage does after each method, as one table."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.cli import common
from selfgen.core.spec import from_json
from selfgen.report.preference import tabulate
from selfgen.report.spec import PreferredSpec


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--spec", required=True, help="PreferredSpec as JSON")
    parser.add_argument("--scores", type=Path, required=True, help="collected Parquet")
    parser.add_argument("--tables", type=Path, required=True, help="folder to write")


def run(args: Namespace) -> None:
    import pandas as pd

    spec = from_json(PreferredSpec, args.spec)
    common.write_texts(args.tables, tabulate(pd.read_parquet(args.scores), spec))

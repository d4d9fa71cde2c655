"""The judgments of one comparison as a table."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.cli import common
from selfgen.core.spec import from_json
from selfgen.report.win_rates import WinRatesSpec, tabulate


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--spec", required=True, help="WinRatesSpec as JSON")
    parser.add_argument("--judgments", type=Path, nargs="+", required=True)
    parser.add_argument("--tables", type=Path, required=True, help="folder to write")


def run(args: Namespace) -> None:
    spec = from_json(WinRatesSpec, args.spec)
    judgments = [common.read_rows([path]) for path in args.judgments]
    common.write_texts(args.tables, tabulate(judgments, spec))

"""The losses of models on held-out dialogues as one table."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.cli import common
from selfgen.core.spec import from_json
from selfgen.report.held_out import tabulate
from selfgen.report.spec import LossTableSpec


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--spec", required=True, help="LossTableSpec as JSON")
    parser.add_argument("--losses", type=Path, nargs="+", required=True)
    parser.add_argument("--tables", type=Path, required=True, help="folder to write")


def run(args: Namespace) -> None:
    spec = from_json(LossTableSpec, args.spec)
    losses = [common.read_rows([path]) for path in args.losses]
    common.write_texts(args.tables, tabulate(losses, spec))

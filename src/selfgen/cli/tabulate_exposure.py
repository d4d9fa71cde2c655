"""Accumulated errors against the oracle as one table."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.cli import common
from selfgen.core.spec import from_json
from selfgen.report.exposure import tabulate
from selfgen.report.spec import ExposureTableSpec


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--spec", required=True, help="ExposureTableSpec as JSON")
    parser.add_argument("--errors", type=Path, nargs="+", required=True)
    parser.add_argument("--tables", type=Path, required=True, help="folder to write")


def run(args: Namespace) -> None:
    spec = from_json(ExposureTableSpec, args.spec)
    errors = [common.read_rows([path]) for path in args.errors]
    common.write_texts(args.tables, tabulate(errors, spec))

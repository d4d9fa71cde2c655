"""The grades of one benchmark as a table."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.cli import common
from selfgen.core.spec import from_json
from selfgen.report.benchmarks import TABLES, BenchmarkSpec


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--spec", required=True, help="BenchmarkSpec as JSON")
    parser.add_argument("--benchmark", choices=sorted(TABLES), required=True)
    parser.add_argument("--grades", type=Path, nargs="+", required=True)
    parser.add_argument("--tables", type=Path, required=True, help="folder to write")


def run(args: Namespace) -> None:
    spec = from_json(BenchmarkSpec, args.spec)
    grades = [common.read_rows([path]) for path in args.grades]
    common.write_texts(args.tables, TABLES[args.benchmark](grades, spec))

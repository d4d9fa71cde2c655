"""Hold a finished run against the shipped one: does it say the same, number by number?"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.report import reproduced


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="the run to verify"
    )
    parser.add_argument(
        "--reference",
        type=Path,
        default=Path("docs/reference/laptop"),
        help="the shipped run of the same configuration",
    )


def run(args: Namespace) -> None:
    found = reproduced.read(args.results, args.reference)
    for line in reproduced.lines(found, str(args.reference)):
        print(line)

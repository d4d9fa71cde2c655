"""Fetch one pinned file by its address and verify its hash."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.core.spec import from_json
from selfgen.data.files import fetch
from selfgen.data.pins import FileSpec


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--spec", required=True, help="FileSpec as JSON")
    parser.add_argument("--out", type=Path, required=True, help="file to write")


def run(args: Namespace) -> None:
    fetch(from_json(FileSpec, args.spec), args.out)

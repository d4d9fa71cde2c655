"""Fetch one pinned file of a package registry and verify its hash."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.core.spec import from_json
from selfgen.data.pins import WheelSpec
from selfgen.data.wheels import fetch


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--spec", required=True, help="WheelSpec as JSON")
    parser.add_argument("--folder", type=Path, required=True, help="where to put it")


def run(args: Namespace) -> None:
    fetch(from_json(WheelSpec, args.spec), args.folder)

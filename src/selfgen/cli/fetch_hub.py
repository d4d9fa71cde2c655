"""Fetch files of a repository of the Hugging Face hub at one commit, and verify them."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.core.spec import from_json
from selfgen.data.hub import fetch
from selfgen.data.pins import HubSpec


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--spec", required=True, help="HubSpec as JSON")
    parser.add_argument("--out", type=Path, required=True, help="listing to write")


def run(args: Namespace) -> None:
    fetch(from_json(HubSpec, args.spec), args.out)

"""Make a base model: convert a GGUF file, take a folder, or draw random weights."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.cli import common
from selfgen.core.provenance import atomic
from selfgen.core.spec import from_json
from selfgen.models import base
from selfgen.models.base import ModelSpec


def add_arguments(parser: ArgumentParser) -> None:
    common.add_manifest(parser)
    parser.add_argument(
        "--source",
        type=Path,
        help="wheel with a GGUF file, folder, or listing of a hub",
    )
    parser.add_argument("--pin", nargs="*", default=[], help="SHA-256 of the source")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")


def run(args: Namespace) -> None:
    sources = {"source": args.source} if args.source else {}
    hashes = common.pinned(sources, args.pin)
    with atomic(args.out) as partial:
        base.prepare(from_json(ModelSpec, args.spec), args.source, partial)
    common.write_manifest(args, "selfgen.models.base", hashes, {})

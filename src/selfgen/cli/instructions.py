"""Answers of a model to the instructions of AlpacaEval."""

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.cli import common
from selfgen.core.spec import from_json
from selfgen.judge.answers import answer_instructions
from selfgen.judge.spec import InstructionsSpec


def add_arguments(parser: ArgumentParser) -> None:
    common.add_compute(parser)
    parser.add_argument(
        "--baseline", type=Path, required=True, help="the baseline's outputs, JSON"
    )
    parser.add_argument("--weights", type=Path, required=True, help="the model")
    parser.add_argument("--out", type=Path, required=True, help="Parquet to write")


def run(args: Namespace) -> None:
    common.set_up(args)
    hashes = common.hashes({"baseline": args.baseline, "weights": args.weights})
    clock = common.Clock(args.name, "prompts")
    baseline = json.loads(args.baseline.read_text(encoding="utf-8"))
    rows, facts = answer_instructions(
        [row["instruction"] for row in baseline],
        args.weights,
        from_json(InstructionsSpec, args.spec),
        clock,
    )
    common.write_rows(args.out, rows)
    module = "selfgen.judge.answers"
    common.write_manifest(args, module, hashes, facts | clock.facts())

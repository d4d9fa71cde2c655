"""Answers of a model to the prompts of a benchmark."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.benchmarks import JUDGED
from selfgen.cli import common
from selfgen.core.spec import from_json
from selfgen.judge.answers import answer
from selfgen.judge.spec import ConversationsSpec


def add_arguments(parser: ArgumentParser) -> None:
    common.add_compute(parser)
    parser.add_argument("--files", nargs="+", default=[], help="key=path")
    parser.add_argument("--weights", type=Path, required=True, help="the model")
    parser.add_argument("--out", type=Path, required=True, help="Parquet to write")


def run(args: Namespace) -> None:
    common.set_up(args)
    files = common.pairs(args.files)
    hashes = common.hashes(files | {"weights": args.weights})
    clock = common.Clock(args.name, "answers")
    spec = from_json(ConversationsSpec, args.spec)
    asked = JUDGED[spec.benchmark].conversations(files)
    rows, facts = answer(asked, args.weights, spec, clock)
    common.write_rows(args.out, rows)
    module = "selfgen.judge.answers"
    common.write_manifest(args, module, hashes, facts | clock.facts())

"""A benchmark with shots, by lm-evaluation-harness."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.cli import common
from selfgen.core.spec import from_json
from selfgen.evaluation.few_shot import FewShotSpec, evaluate


def add_arguments(parser: ArgumentParser) -> None:
    common.add_compute(parser)
    parser.add_argument(
        "--files", nargs="+", required=True, help="key=path, JSON lines"
    )
    parser.add_argument("--weights", type=Path, required=True, help="the model")
    parser.add_argument("--out", type=Path, required=True, help="Parquet to write")


def run(args: Namespace) -> None:
    common.set_up(args)
    files = common.pairs(args.files)
    hashes = common.hashes(files | {"weights": args.weights})
    clock = common.Clock(args.name, "problems")
    spec = from_json(FewShotSpec, args.spec)
    rows, facts = evaluate(files, args.weights, spec, clock)
    common.write_rows(args.out, rows)
    module = "selfgen.evaluation.few_shot"
    common.write_manifest(args, module, hashes, facts | clock.facts())

"""GSM8K or MATH by the few-shot protocol of lm-evaluation-harness."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.cli import common
from selfgen.core.spec import from_json
from selfgen.evaluation.few_shot import FewShotSpec, evaluate


def add_arguments(parser: ArgumentParser) -> None:
    common.add_compute(parser)
    parser.add_argument(
        "--problems", type=Path, nargs="+", required=True, help="JSON lines"
    )
    parser.add_argument("--weights", type=Path, required=True, help="the model")
    parser.add_argument("--out", type=Path, required=True, help="Parquet to write")


def run(args: Namespace) -> None:
    common.set_up(args)
    inputs = {path.name: path for path in args.problems} | {"weights": args.weights}
    hashes = common.hashes(inputs)
    clock = common.Clock(args.name, "problems")
    spec = from_json(FewShotSpec, args.spec)
    rows, facts = evaluate(args.problems, args.weights, spec, clock)
    common.write_rows(args.out, rows)
    module = "selfgen.evaluation.few_shot"
    common.write_manifest(args, module, hashes, facts | clock.facts())

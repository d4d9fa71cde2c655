"""Free-running answers to held-out prompts."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.cli import common
from selfgen.core.spec import from_json
from selfgen.data.records import read
from selfgen.generation.answers import run_answers
from selfgen.generation.answers_spec import AnswersSpec


def add_arguments(parser: ArgumentParser) -> None:
    common.add_compute(parser)
    parser.add_argument("--records", type=Path, required=True, help="records Parquet")
    parser.add_argument("--weights", type=Path, required=True, help="the model")
    parser.add_argument(
        "--drafts", type=Path, nargs="*", default=[], help="direct answers to correct"
    )
    common.add_engine(parser)
    parser.add_argument("--shard", type=int, default=0, help="which shard of the plan")
    parser.add_argument("--out", type=Path, required=True, help="Parquet to write")


def run(args: Namespace) -> None:
    common.set_up(args)
    inputs = {"records": args.records, "weights": args.weights}
    inputs |= {f"drafts {i}": path for i, path in enumerate(args.drafts)}
    hashes = common.hashes(inputs)
    spec = from_json(AnswersSpec, args.spec)
    clock = common.Clock(args.name, "prompts")
    made = run_answers(
        read(args.records, spec.splits),
        common.read_rows(args.drafts),
        args.weights,
        spec,
        shard=args.shard,
        engine=args.engine,
        gpus=max(1, args.gpus),
        progress=clock,
    )
    common.write_rows(args.out, made.rows)
    common.write_manifest(
        args, "selfgen.generation.answers", hashes, made.facts | clock.facts()
    )

"""A generation pass over training records: mixed answers, or drafts."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.cli import common
from selfgen.core.spec import from_json
from selfgen.data.records import read
from selfgen.generation.pass_spec import PassSpec
from selfgen.generation.passes import run_pass


def add_arguments(parser: ArgumentParser) -> None:
    common.add_compute(parser)
    parser.add_argument("--records", type=Path, required=True, help="records Parquet")
    parser.add_argument("--weights", type=Path, required=True, help="the generator")
    common.add_engine(parser)
    parser.add_argument("--shard", type=int, default=0, help="which shard of the plan")
    parser.add_argument("--out", type=Path, required=True, help="Parquet to write")


def run(args: Namespace) -> None:
    common.set_up(args)
    hashes = common.hashes({"records": args.records, "weights": args.weights})
    clock = common.Clock(args.name, "rows")
    made = run_pass(
        read(args.records, ["train"]),
        args.weights,
        from_json(PassSpec, args.spec),
        shard=args.shard,
        engine=args.engine,
        gpus=max(1, args.gpus),
        progress=clock,
    )
    common.write_rows(args.out, made.rows)
    common.write_manifest(
        args, "selfgen.generation.passes", hashes, made.facts | clock.facts()
    )

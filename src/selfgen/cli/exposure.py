"""Step errors of a model against an oracle, in free-running and in reference contexts."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.cli import common
from selfgen.core.spec import from_json
from selfgen.data.records import read
from selfgen.evaluation.oracle import run as measure
from selfgen.evaluation.oracle_spec import ExposureSpec
from selfgen.runtime.process import peak_memory_mb


def add_arguments(parser: ArgumentParser) -> None:
    common.add_compute(parser)
    parser.add_argument("--records", type=Path, required=True, help="records Parquet")
    parser.add_argument("--weights", type=Path, required=True, help="the model")
    parser.add_argument("--oracle", type=Path, required=True, help="the oracle")
    parser.add_argument("--out", type=Path, required=True, help="Parquet to write")


def run(args: Namespace) -> None:
    common.set_up(args)
    inputs = {
        "records": args.records,
        "weights": args.weights,
        "oracle": args.oracle,
    }
    hashes = common.hashes(inputs)
    spec = from_json(ExposureSpec, args.spec)
    clock = common.Clock(args.name, "prompts")
    records = read(args.records, [spec.split])
    rows, facts = measure(records, args.weights, args.oracle, spec)
    common.write_rows(args.out, rows)
    facts |= {"peak_memory_mb": peak_memory_mb()} | clock.facts()
    common.write_manifest(args, "selfgen.evaluation.oracle", hashes, facts)

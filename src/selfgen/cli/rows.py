"""Mix records and a pass into training rows, in training order."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.cli import common
from selfgen.data.prompts import load_tokenizer
from selfgen.data.records import read
from selfgen.mixing.build import build
from selfgen.specs import RowsSpec, from_json


def add_arguments(parser: ArgumentParser) -> None:
    common.add_manifest(parser)
    parser.add_argument("--records", type=Path, required=True, help="records Parquet")
    parser.add_argument(
        "--tokenizer", type=Path, required=True, help="a model's folder"
    )
    parser.add_argument("--pass", dest="shards", type=Path, nargs="*", default=[])
    parser.add_argument("--out", type=Path, required=True, help="Parquet to write")


def run(args: Namespace) -> None:
    tokenizer = load_tokenizer(args.tokenizer)
    rows = build(
        read(args.records, ["train"]),
        common.read_rows(args.shards),
        from_json(RowsSpec, args.spec),
        tokenizer,
    )
    common.write_rows(args.out, rows)
    inputs = {"records": args.records, "tokenizer": args.tokenizer}
    inputs |= {f"pass {i}": path for i, path in enumerate(args.shards)}
    facts = {"rows": len(rows), "steps": rows[-1]["step"] + 1}
    common.write_manifest(args, "selfgen.mixing.build", inputs, facts)

"""A judge's grades of the answers to a benchmark."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.cli import common
from selfgen.core.spec import from_json
from selfgen.judge.grades import grade
from selfgen.judge.spec import GradesSpec, Limits


def add_arguments(parser: ArgumentParser) -> None:
    common.add_compute(parser)
    parser.add_argument("--files", nargs="+", default=[], help="key=path")
    parser.add_argument("--answers", type=Path, required=True, help="Parquet")
    parser.add_argument("--limits", required=True, help="of the judge, as JSON")
    parser.add_argument("--replies", type=Path, required=True, help="folder")
    parser.add_argument("--out", type=Path, required=True, help="Parquet to write")


def run(args: Namespace) -> None:
    common.set_up(args)
    files = common.pairs(args.files)
    hashes = common.hashes(files | {"answers": args.answers})
    clock = common.Clock(args.name, "replies")
    rows, facts = grade(
        common.read_rows([args.answers]),
        files,
        from_json(GradesSpec, args.spec),
        from_json(Limits, args.limits),
        args.replies,
        clock,
    )
    common.write_rows(args.out, rows)
    module = "selfgen.judge.grades"
    common.write_manifest(args, module, hashes, facts | clock.facts())

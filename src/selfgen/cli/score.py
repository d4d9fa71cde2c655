"""Grade answers, example by example."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.cli import common
from selfgen.core.provenance import atomic
from selfgen.core.spec import from_json
from selfgen.data.records import read
from selfgen.evaluation.scores import ScoresSpec, score


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--spec", required=True, help="ScoresSpec as JSON")
    parser.add_argument("--records", type=Path, required=True, help="records Parquet")
    parser.add_argument("--answers", type=Path, nargs="+", required=True)
    parser.add_argument(
        "--drafts", type=Path, nargs="*", default=[], help="answers that these correct"
    )
    parser.add_argument(
        "--root", type=Path, default=Path(), help="where files of own metrics lie"
    )
    parser.add_argument("--out", type=Path, required=True, help="Parquet to write")


def run(args: Namespace) -> None:
    common.unchanged(args.records)
    answers = common.read_rows(args.answers)
    spec = from_json(ScoresSpec, args.spec)
    drafts = common.read_rows(args.drafts)
    frame = score(read(args.records), answers, spec, drafts, args.root)
    with atomic(args.out) as partial:
        frame.to_parquet(partial, index=False)

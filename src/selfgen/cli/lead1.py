"""Grade the first sentence of each held-out prompt as its summary."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.core.provenance import atomic
from selfgen.core.spec import from_json
from selfgen.data.records import read
from selfgen.evaluation.lead_1 import lead_1_scores
from selfgen.evaluation.scores import ScoresSpec


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--spec", required=True, help="ScoresSpec as JSON")
    parser.add_argument("--records", type=Path, required=True, help="records Parquet")
    parser.add_argument(
        "--root", type=Path, default=Path(), help="where files of own metrics lie"
    )
    parser.add_argument("--out", type=Path, required=True, help="Parquet to write")


def run(args: Namespace) -> None:
    spec = from_json(ScoresSpec, args.spec)
    frame = lead_1_scores(read(args.records), spec, args.root)
    with atomic(args.out) as partial:
        frame.to_parquet(partial, index=False)

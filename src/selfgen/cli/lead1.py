"""Grade the first sentence of each held-out prompt as its summary."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.core.provenance import atomic
from selfgen.core.spec import from_json
from selfgen.data.records import read
from selfgen.evaluation.scores import ScoresSpec, lead_1_scores


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--spec", required=True, help="ScoresSpec as JSON")
    parser.add_argument("--records", type=Path, required=True, help="records Parquet")
    parser.add_argument("--out", type=Path, required=True, help="Parquet to write")


def run(args: Namespace) -> None:
    frame = lead_1_scores(read(args.records), from_json(ScoresSpec, args.spec))
    with atomic(args.out) as partial:
        frame.to_parquet(partial, index=False)

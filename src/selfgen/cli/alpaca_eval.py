"""AlpacaEval 2.0: a judge's preferences between a model's outputs and the baseline's."""

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.cli import common
from selfgen.cli.judge import announce
from selfgen.core.spec import from_json
from selfgen.judge.alpaca import annotate, leaderboard_row
from selfgen.judge.client import Judge
from selfgen.judge.spec import GradedSpec


def add_arguments(parser: ArgumentParser) -> None:
    common.add_compute(parser)
    parser.add_argument("--answers", type=Path, required=True, help="Parquet")
    parser.add_argument(
        "--baseline", type=Path, required=True, help="the baseline's outputs, JSON"
    )
    parser.add_argument(
        "--gamed", type=Path, help="df_gamed.csv, for the length-controlled win rate"
    )
    parser.add_argument("--replies", type=Path, required=True, help="folder")
    parser.add_argument("--out", type=Path, required=True, help="Parquet to write")


def run(args: Namespace) -> None:
    common.set_up(args)
    spec = from_json(GradedSpec, args.spec)
    hashes = common.hashes({"answers": args.answers, "baseline": args.baseline})
    clock = common.Clock(args.name, "replies")
    judge = Judge(spec.endpoint, args.replies)
    outputs = [
        {key: row[key] for key in ("instruction", "output")}
        | {"generator": spec.generator}
        for row in common.read_rows([args.answers])
    ]
    found = annotate(
        outputs,
        json.loads(args.baseline.read_text(encoding="utf-8")),
        judge,
        before=lambda requests: announce(judge, requests),
        progress=clock,
    )
    row = leaderboard_row(found, args.gamed)
    controlled = found.get("glm_preference")
    rows = [
        {
            "id": str(i),
            "won": None if preference != preference else preference - 1,
            "controlled": None if controlled is None else float(controlled[i]),
            "length": len(output),
        }
        for i, (preference, output) in enumerate(
            zip(found["preference"], found["output_2"], strict=True)
        )
    ]
    common.write_rows(args.out, rows)
    facts = {"row": row} | clock.facts()
    common.write_manifest(args, "selfgen.judge.alpaca", hashes, facts)

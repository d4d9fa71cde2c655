"""Collect scores, curves and manifests into the four tables that renderings read, and
the manifests themselves into one file."""

import json
from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path

from selfgen.core.provenance import atomic, write_json
from selfgen.core.spec import from_json
from selfgen.report.collect import collect_scores
from selfgen.report.runs import collect_curves, collect_runs
from selfgen.report.spec import CollectSpec


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--spec", required=True, help="CollectSpec as JSON")
    parser.add_argument("--scores", type=Path, nargs="+", required=True)
    parser.add_argument("--manifests", type=Path, nargs="*", default=[])
    parser.add_argument("--curves", type=Path, nargs="*", default=[])
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")


def run(args: Namespace) -> None:
    import pandas as pd

    spec = from_json(CollectSpec, args.spec)
    frames = [pd.read_parquet(path) for path in args.scores]
    cells = [asdict(cell) for cell in spec.cells]
    scores = collect_scores(zip(cells, frames, strict=True))
    manifests = {
        path.as_posix(): json.loads(path.read_text()) for path in args.manifests
    }
    runs, timings = collect_runs(manifests, spec)
    curves = collect_curves({path.as_posix(): path.read_text() for path in args.curves})
    with atomic(args.out / "scores.parquet") as partial:
        scores.to_parquet(partial, index=False)
    for name, frame in {"runs": runs, "timings": timings, "curves": curves}.items():
        with atomic(args.out / f"{name}.csv") as partial:
            frame.to_csv(partial, index=False)
    write_json(args.out / "manifests.json", manifests)

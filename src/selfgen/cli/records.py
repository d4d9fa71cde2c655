"""Build the records of a task from its sources."""

from argparse import ArgumentParser, Namespace
from collections import Counter
from pathlib import Path

from selfgen.cli import common
from selfgen.core.provenance import atomic
from selfgen.core.spec import from_json
from selfgen.data.spec import RecordsSpec
from selfgen.tasks import module
from selfgen.tasks.build import build


def add_arguments(parser: ArgumentParser) -> None:
    common.add_manifest(parser)
    parser.add_argument("--source", nargs="*", default=[], help="name=path of a wheel")
    parser.add_argument("--pin", nargs="*", default=[], help="SHA-256 of each source")
    parser.add_argument("--out", type=Path, required=True, help="Parquet to write")


def run(args: Namespace) -> None:
    sources = common.pairs(args.source)
    hashes = common.pinned(sources, args.pin)
    spec = from_json(RecordsSpec, args.spec)
    built = build(spec, sources)
    with atomic(args.out) as partial:
        built.to_parquet(partial)
    counts = dict(Counter(built["split"]))
    code = ("selfgen.tasks.build", module(spec.dataset))
    common.write_manifest(args, code, hashes, {"rows": counts})

"""A page of held-out examples with every method's answer, side by side."""

from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path

from selfgen.cli import common
from selfgen.core.provenance import atomic
from selfgen.core.spec import from_json
from selfgen.data.records import read
from selfgen.report.samples import samples_page
from selfgen.report.spec import SamplesSpec


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--spec", required=True, help="SamplesSpec as JSON")
    parser.add_argument("--records", nargs="+", required=True, help="task=path")
    parser.add_argument("--answers", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True, help="Markdown to write")


def run(args: Namespace) -> None:
    spec = from_json(SamplesSpec, args.spec)
    records = {task: read(path) for task, path in common.pairs(args.records).items()}
    shards = len(args.answers) // len(spec.cells)
    answers = [
        (asdict(cell), common.read_rows(args.answers[i * shards : (i + 1) * shards]))
        for i, cell in enumerate(spec.cells)
    ]
    with atomic(args.out) as partial:
        partial.write_text(samples_page(records, answers, spec.tables))

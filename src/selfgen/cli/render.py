"""Draw every table and figure from the collected tables alone."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.core.provenance import atomic
from selfgen.core.spec import from_json
from selfgen.report.render import render_all
from selfgen.report.spec import TablesSpec


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--spec", required=True, help="the spec as JSON")
    parser.add_argument("--collected", type=Path, required=True, help="folder to read")
    parser.add_argument("--tables", type=Path, required=True, help="folder to write")
    parser.add_argument("--figures", type=Path, required=True, help="folder to write")


def run(args: Namespace) -> None:
    write(args, render_all(args.collected, from_json(TablesSpec, args.spec)))


def write(args: Namespace, rendered: dict[str, bytes]) -> None:
    """Each file into the folder of its kind."""
    for name, content in rendered.items():
        kind = name.rpartition(".")[2]
        folder = args.figures if kind in ("pdf", "svg", "png") else args.tables
        with atomic(folder / name) as partial:
            partial.write_bytes(content)

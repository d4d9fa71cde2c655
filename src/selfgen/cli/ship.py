"""Copy a finished run's tables, figures, scores and judgments into the documents, and show
them on a page."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.core.provenance import atomic
from selfgen.report import ship


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="the run to show"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("docs/reference/laptop"),
        help="folder to write",
    )
    parser.add_argument(
        "--readme", type=Path, default=Path("README.md"), help="page to show it in"
    )
    parser.add_argument(
        "--no-readme",
        dest="readme",
        action="store_const",
        const=None,
        help="show it on no page",
    )


def run(args: Namespace) -> None:
    with atomic(args.out) as partial:
        ship.ship(args.results, partial)
    if args.readme is None:
        return
    readme = args.readme.read_text(encoding="utf-8")
    readme = ship.show(readme, ship.shown(args.out, args.readme))
    with atomic(args.readme) as partial:
        partial.write_text(readme, encoding="utf-8")

"""Copy a finished run's tables, figures, scores and judgments into the documents, and show
them on a page; and say what it took."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.core import places
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
    parser.add_argument(
        "--cost-only",
        action="store_true",
        help="keep what the run took (time, disk, download), and show nothing",
    )


def run(args: Namespace) -> None:
    downloads = Path(places.resources(places.root()))
    if args.cost_only:
        ship.ship_cost(args.results, args.out, downloads)
        return
    with atomic(args.out) as partial:
        ship.ship(args.results, partial, downloads)
    if args.readme is None:
        return
    readme = args.readme.read_text(encoding="utf-8")
    readme = ship.show(readme, ship.shown(args.out, args.readme))
    with atomic(args.readme) as partial:
        partial.write_text(readme, encoding="utf-8")

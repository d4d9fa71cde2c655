"""What a configuration would take: tokens, GPU-hours, disk, judges' prices."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.cli import where
from selfgen.config import load
from selfgen.core import places
from selfgen.core.errors import UserError
from selfgen.graph import cost, sizes
from selfgen.graph.steps import Graph
from selfgen.report import plan

ROOT = places.root()
BENCH = ROOT / "docs" / "reference" / "bench" / "h200"


def add_arguments(parser: ArgumentParser) -> None:
    where.add_config(parser)
    parser.add_argument("--gpu", default="h100", help=f"{', '.join(plan.GPUS)}")
    parser.add_argument(
        "--bench", type=Path, default=BENCH, help="folder of benchmark pages"
    )


def run(args: Namespace) -> None:
    asked = where.found(args)
    raw = asked.raw()
    if "experiments" in raw:
        raise UserError(f"{asked.paths[0]}: not a configuration of the graph")
    graph = Graph(load(raw), ROOT)
    sizes.check(graph)
    parameters = cost.parameters(graph)
    works = cost.works(graph)
    print(
        plan.page(
            works,
            cost.works(graph, cost.expected),
            parameters,
            list(cost.asked(graph)),
            cost.disk(graph, parameters, works),
            args.gpu,
            plan.rates(args.bench),
        )
    )

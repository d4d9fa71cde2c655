"""Save what a run made for others: training rows or self-generated tokens as a dataset, or a
trained model, each with a card."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.cli import where
from selfgen.core import places
from selfgen.core.errors import UserError
from selfgen.core.provenance import atomic
from selfgen.graph.export import Export
from selfgen.graph.steps import Graph
from selfgen.graph.workflow import open_workflow


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("what", choices=("rows", "drafts", "model"))
    where.add_arguments(parser)
    parser.add_argument("--task", help="its name; the only one by default")
    parser.add_argument("--method", required=True, help="its name")
    parser.add_argument(
        "--model", help="the base model's name; the only one by default"
    )
    parser.add_argument("--seed", type=int, help="the first one by default")
    parser.add_argument("--out", type=Path, required=True, help="a new folder")


def run(args: Namespace) -> None:
    asked = where.found(args)
    raw = asked.raw()
    out = args.out.absolute()
    if out.exists():
        raise UserError(f"--out: found {args.out}, allowed: a folder that is not there")
    os.chdir(asked.folder)
    graph = open_workflow(raw, asked.paths, places.root()).graph
    if not isinstance(graph, Graph):
        raise UserError(f"{asked.paths[0]}: not a configuration of the graph")
    export = Export.of(graph, args.method, args.task, args.model, args.seed)
    save = {"rows": export.rows, "drafts": export.drafts, "model": export.weights}
    with atomic(out) as partial:
        partial.mkdir()
        save[args.what](partial)
    print(
        f"{args.out}: see its README.md for where it is from, and under which licences"
    )

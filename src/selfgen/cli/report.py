"""A finished run as one page of HTML that needs no network, to be sent to others."""

from __future__ import annotations

import os
import shlex
from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.cli import where
from selfgen.core import places
from selfgen.core.provenance import atomic
from selfgen.graph.page import page
from selfgen.graph.workflow import open_workflow


def add_arguments(parser: ArgumentParser) -> None:
    where.add_arguments(parser)
    parser.add_argument(
        "--out", type=Path, help="report.html in the folder of the run by default"
    )


def run(args: Namespace) -> None:
    asked = where.found(args)
    raw = asked.raw()
    out = (args.out or asked.folder / "report.html").absolute()
    named = [_told(args.config)] if args.config else []
    named += [word for path in args.more for word in ("--with", _told(path))]
    os.chdir(asked.folder)
    graph = open_workflow(raw, asked.paths, places.root()).graph
    text = page(graph, shlex.join(["selfgen", "run", *named])).html()
    with atomic(out) as partial:
        partial.write_text(text, encoding="utf-8")
    print(f"{out}: {len(text) / 1e6:.1f} MB")


def _told(path: Path) -> str:
    """A path as it was given; of one from the root, which tells of this machine, the name."""
    return path.name if path.is_absolute() else str(path)

"""A finished run as one page of HTML that needs no network, to be sent to others."""

from __future__ import annotations

import os
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
    os.chdir(asked.folder)
    text = page(open_workflow(raw, asked.paths, places.root()).graph).html()
    with atomic(out) as partial:
        partial.write_text(text, encoding="utf-8")
    print(f"{out}: {len(text) / 1e6:.1f} MB")

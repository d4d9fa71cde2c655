"""A finished run as one zip for an archive with a DOI: a Workflow Run RO-Crate, without
downloaded texts and weights."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.cli import where
from selfgen.core import places
from selfgen.core.provenance import atomic
from selfgen.graph import archive
from selfgen.graph.workflow import open_workflow


def add_arguments(parser: ArgumentParser) -> None:
    where.add_arguments(parser)
    parser.add_argument(
        "--licence",
        metavar="SPDX",
        default="Apache-2.0",
        help="of tables, figures and scores, by its name in SPDX; that of the code by"
        " default",
    )
    parser.add_argument(
        "--out", type=Path, help="archive.zip in the folder of the run by default"
    )


def run(args: Namespace) -> None:
    asked = where.found(args)
    raw = asked.raw()
    out = (args.out or asked.folder / "archive.zip").absolute()
    os.chdir(asked.folder)
    workflow = open_workflow(raw, asked.paths, places.root())
    with atomic(out) as partial:
        archive.write(workflow, asked.paths, args.licence, partial)
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB")

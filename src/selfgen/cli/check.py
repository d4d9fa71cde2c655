"""Whether a configuration and its run are sound: what is wrong in its keys, data and models,
what no machine has, and what is missing behind results that stand."""

from __future__ import annotations

import logging
import os
import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence

from selfgen.cli import where
from selfgen.core import places
from selfgen.core.errors import UserError
from selfgen.core.memory import total
from selfgen.core.types import hint
from selfgen.graph import sizes
from selfgen.graph.files import Missing, missing, unmade
from selfgen.graph.readiness import Readiness
from selfgen.graph.rules import RULES
from selfgen.graph.steps import Graph
from selfgen.graph.workflow import open_workflow

ROOT = places.root()

SHOWN = 3
"""Names of files that a line shows."""


def add_arguments(parser: ArgumentParser) -> None:
    where.add_arguments(parser)
    parser.add_argument(
        "--memory",
        metavar="GB",
        type=float,
        help="memory of the machine that the jobs will run on; this one's by default",
    )
    parser.add_argument(
        "--files",
        metavar="RULE",
        help="print what is missing of a rule, a file a line, and nothing else",
    )


def run(args: Namespace) -> None:
    asked = where.found(args)
    raw = asked.raw()
    os.chdir(asked.folder)
    workflow = open_workflow(raw, asked.paths, ROOT)
    sizes.check(workflow.graph, int(args.memory * 1e9) if args.memory else total())
    found = missing(workflow)
    if args.files and args.files not in RULES:
        raise UserError(f"--files: found {args.files!r}{hint(args.files, list(RULES))}")
    if args.files:
        gone = [file for one in found if one.rule == args.files for file in one.files]
        print("\n".join(gone), end="\n" if gone else "")
        return
    logging.getLogger("selfgen").setLevel(logging.WARNING)
    ready = Readiness(workflow.graph) if isinstance(workflow.graph, Graph) else None
    for line in ready.lines() if ready else ():
        print(line, flush=True)
    which = [str(args.config)] if args.config else []
    which += [word for path in args.more for word in ("--with", str(path))]
    which += ["--directory", str(args.directory)] if args.directory else []
    anew = ["selfgen", "run", *which] if which else ["snakemake", "--cores", "all"]
    for line in lines(
        found,
        shlex.join(["selfgen", "check", *which]),
        shlex.join(anew),
    ):
        print(line)
    if found:
        number = sum(len(one.files) for one in found)
        raise UserError(f"missing behind results: {number} files")
    if ready and ready.problems:
        raise UserError("\n".join(ready.problems))
    left, whole = unmade(workflow)
    unmade_ones = f"; {left} of {whole} results are to be made" if left else ""
    print(f"nothing is missing{unmade_ones}")


def lines(found: Sequence[Missing], check: str, run: str) -> Iterator[str]:
    """A line for each rule whose files are missing, and the commands by which they are listed
    and made anew."""
    for one in found:
        what = f"{len(one.files)} missing ({_some(one.files)})"
        stand = f"{len(one.standing)} files stand on it ({_some(one.standing)})"
        if one.rule is None:
            yield f"files of yours: {what}; {stand}; bring them back"
        else:
            anew = f"{check} --files {one.rule} | xargs -rn 1 {run} --"
            yield f"{one.rule}: {what}; {stand}; anew: {anew}"


def _some(files: Sequence[str]) -> str:
    more = [f"and {len(files) - SHOWN} more"] if len(files) > SHOWN else []
    return ", ".join([*files[:SHOWN], *more])

"""Draw the tables and figures of controlled runs from what was collected alone."""

from argparse import ArgumentParser, Namespace

from selfgen.cli import render
from selfgen.core.spec import from_json
from selfgen.report.synthetic.render import render_all
from selfgen.report.synthetic.spec import AblationSpec


def add_arguments(parser: ArgumentParser) -> None:
    render.add_arguments(parser)


def run(args: Namespace) -> None:
    render.write(args, render_all(args.collected, from_json(AblationSpec, args.spec)))

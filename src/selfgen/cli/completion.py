"""Print what makes a shell complete the verbs and their arguments: its start-up file reads
it, as in `eval "$(selfgen completion bash)"`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

import shtab

from selfgen.cli import main


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("shell", choices=shtab.SUPPORTED_SHELLS)


def run(args: Namespace) -> None:
    print(shtab.complete(main.parser(main.VERBS), args.shell))

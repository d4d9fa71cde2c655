"""Which configuration is meant, and in which folder its run lies."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.core.errors import UserError

NAME = "config.yaml"
"""Of a configuration that `selfgen new` writes, in the folder of its run."""


def add_arguments(parser: ArgumentParser, default: Path) -> None:
    parser.add_argument(
        "config",
        type=Path,
        nargs="?",
        default=default,
        help=f"a configuration, or a folder with a {NAME}; {default} by default",
    )
    parser.add_argument(
        "--directory",
        type=Path,
        help="where results go, and where paths begin; by default the folder that is given,"
        " or else this one",
    )


def found(args: Namespace) -> tuple[Path, Path]:
    """The file of the configuration and the folder of its run.

    Raises UserError: there is no such file or folder.
    """
    given: Path = args.config
    path = given / NAME if given.is_dir() else given
    if not path.is_file():
        raise UserError(
            f"config: {path}: found no such file; `selfgen new DATA MODEL` writes one"
        )
    folder = args.directory or (given if given.is_dir() else Path())
    if not folder.is_dir():
        raise UserError(f"--directory: found {folder}, allowed: a folder")
    return path.absolute(), folder

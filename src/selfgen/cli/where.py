"""Which configuration is meant, of one file or several, and in which folder its run lies."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfgen.config import files
from selfgen.core.errors import UserError

NAME = "config.yaml"
"""Of a configuration that `selfgen new` writes, in the folder of its run."""

DEFAULT = Path("config/config.yaml")
"""The laptop scale of a checkout."""


@dataclass(frozen=True)
class Asked:
    """Files of a configuration, each on top of those before it, and the folder of its run."""

    paths: list[Path]
    folder: Path

    def raw(self) -> dict[str, Any]:
        """What the files say together. Raises UserError: as ``files.read``."""
        return files.together(self.paths)


def add_arguments(parser: ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument(
        "--directory",
        type=Path,
        help="where results go, and where paths begin; by default the folder that is given,"
        " or else this one",
    )


def add_config(parser: ArgumentParser) -> None:
    parser.add_argument(
        "config",
        type=Path,
        nargs="?",
        help=f"a configuration, or a folder with a {NAME}; {NAME} here by default, or else"
        f" {DEFAULT}",
    )
    parser.add_argument(
        "--with",
        dest="more",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="a file whose keys go on top, such as those of config/more; several times for"
        " several files",
    )


def found(args: Namespace) -> Asked:
    """The files of the configuration and the folder of its run.

    Raises UserError: there is no such file or folder.
    """
    given: Path = args.config or (Path(NAME) if Path(NAME).is_file() else DEFAULT)
    path = given / NAME if given.is_dir() else given
    if not path.is_file():
        raise UserError(
            f"config: {path}: found no such file; `selfgen new DATA MODEL` writes one"
        )
    folder = getattr(args, "directory", None) or (given if given.is_dir() else Path())
    if not folder.is_dir():
        raise UserError(f"--directory: found {folder}, allowed: a folder")
    for more in args.more:
        if not more.is_file():
            what = "a folder, allowed: a file" if more.is_dir() else "no such file"
            raise UserError(f"--with: {more}: found {what}")
    return Asked([path.absolute(), *(more.absolute() for more in args.more)], folder)

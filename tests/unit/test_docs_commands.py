"""Every command on every page is one that its program takes, of files that are there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from snakemake.cli import get_argument_parser

from selfgen.cli.main import VERBS, parser

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "config/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
OTHERS = ("apptainer", "cd", "docker", "export", "pip", "python3", "snakedeploy")
"""Programs that are not asked; the files of the repository that they name must be there."""

OF_A_READER = ("vllm.yaml",)
"""Files that the page tells its reader to write."""


def commands() -> Iterator[tuple[str, str]]:
    """Page and command, a line each."""
    for page in PAGES:
        for block in re.findall(r"^```sh\n(.*?)^```$", page.read_text(), re.M | re.S):
            for line in block.replace("\\\n", " ").splitlines():
                for part in line.partition(" #")[0].split(" && "):
                    if part.strip() and not part.startswith("#"):
                        yield page.name, part.strip()


@pytest.mark.parametrize("page, command", [*commands()])
def test_its_program_takes_it(page: str, command: str) -> None:
    name, *argv = shlex.split(command)
    argv = [word for word in argv if word != "…"]
    if name == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
        assert set(argv) <= set(targets)
    elif name == "selfgen":
        assert argv[0] in VERBS
        parser([argv[0]]).parse_args(argv)
    elif name == "snakemake":
        get_argument_parser().parse_args(argv)
    else:
        assert name.rpartition("/")[2] in OTHERS
    for word in argv:
        if re.fullmatch(r"(config|envs|profiles)/\S+", word.rpartition("=")[2]):
            assert (ROOT / word.rpartition("=")[2]).exists()
        elif name == "snakemake" and word.endswith(".yaml") and "=" not in word:
            assert word in OF_A_READER

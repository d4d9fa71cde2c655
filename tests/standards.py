"""The validators of envs/standards.txt, in an environment of their own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.tools import STANDARDS

ROOT = Path(__file__).parents[1]


def run(
    program: str, *arguments: str | Path, cwd: Path = ROOT, **more: str
) -> subprocess.CompletedProcess[str]:
    """One of them, ``more``: variables of its environment."""
    return subprocess.run(
        [STANDARDS / program, *arguments],
        cwd=cwd,
        env=os.environ | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )

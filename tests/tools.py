"""Programs that .ci/run installs: a test without one is skipped, and fails in CI."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster import lab

CI = "SELFGEN_CI"
"""Set by .ci/run where it can install programs."""

STANDARDS = Path(__file__).parents[1] / ".venv-standards" / "bin"
"""The validators of envs/standards.txt."""


def chromium() -> str | None:
    """The browser; None where there is none."""
    return shutil.which("chromium") or shutil.which("google-chrome")


WHY_NOT: dict[str, Callable[[], str | None]] = {
    "chromium": lambda: None if chromium() else "no chromium here",
    "pdflatex": lambda: None if shutil.which("pdflatex") else "no pdflatex here",
    "sbatch": lambda: None if shutil.which("sbatch") else "no Slurm is installed",
    "slurm": lab.why_not,
    "standards": lambda: (
        None
        if (STANDARDS / "python").exists()
        else "no validators here: make .venv-standards/ready"
    ),
}
"""What ``@pytest.mark.needs`` takes: why a program cannot be used here, or None."""


def need(name: str) -> None:
    """Skip the test that runs where a program is missing; in CI, fail it."""
    why = WHY_NOT[name]()
    if why is None:
        return
    if os.environ.get(CI):
        pytest.fail(f"{why}, and {CI} says that .ci/run installed it", pytrace=False)
    pytest.skip(why)

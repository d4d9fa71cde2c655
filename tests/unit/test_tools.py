"""A program that is missing: its tests are skipped, and fail where .ci/run installs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests import tools
from tests.flow import REPO

ONE = "tests/unit/test_latex_tables.py::test_a_shipped_table_fits_the_page"


@pytest.mark.parametrize("demand, said", [("", "1 skipped"), ("1", "1 error")])
def test_a_missing_program(tmp_path: Path, demand: str, said: str) -> None:
    """Of a real run of one such test, in which nothing is on the search path."""
    environment = os.environ | {"PATH": str(tmp_path), tools.CI: demand}
    call = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", "0"]
    done = subprocess.run(
        [*call, f"{ONE}[laptop/tables/main.tex]"],
        cwd=REPO,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said in done.stdout and "no pdflatex here" in done.stdout
    assert (done.returncode != 0) == bool(demand)


def test_every_program_is_installed_by_ci() -> None:
    text = (REPO / ".ci" / "run").read_text(encoding="utf-8")
    asked = {*re.findall(r"command -v (\w+) \|\|", text)}
    assert asked == {"slurmctld", "chromium", "pdflatex"}
    assert ".venv-standards/ready" in text


def test_no_other_program_of_ci_is_skipped_unseen() -> None:
    """Tests ask tests/tools.py, so that one variable decides about all."""
    names = r"slurmctld|sbatch|chromium|google-chrome|pdflatex"
    for path in (REPO / "tests").rglob("*.py"):
        found = re.findall(rf"which\(\W(?:{names})", path.read_text(encoding="utf-8"))
        assert not found or path.name == "tools.py", path

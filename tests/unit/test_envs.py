"""The environments agree: one set of exact pins."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def pins(name: str) -> list[str]:
    lines = (ROOT / "envs" / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


PINS, VLLM = pins("requirements.txt"), pins("vllm.txt")
STANDARDS = pins("standards.txt")


def test_every_pin_is_exact() -> None:
    assert all(
        re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in [*PINS, *VLLM, *STANDARDS]
    )
    assert "torch==2.13.0" in PINS


def test_the_environment_of_the_rules_is_that_of_the_pins() -> None:
    spec = yaml.safe_load((ROOT / "envs" / "selfgen.yaml").read_text())
    assert spec["dependencies"][-1]["pip"] == ["-r requirements.txt"]


def test_every_dependency_is_pinned() -> None:
    def name(text: str) -> str:
        return re.match(r"[\w.-]+", text).group().lower().replace("_", "-")

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for wanted in (project["dependencies"], *project["optional-dependencies"].values()):
        assert {name(text) for text in wanted} <= {name(pin) for pin in PINS}


def test_what_vllm_s_environment_shares_has_the_same_pins() -> None:
    # Of transformers, vLLM allows no version that we do.
    own = {pin.partition("==")[0] for pin in set(VLLM) - set(PINS)}
    assert own == {"transformers", "vllm"}


@pytest.mark.parametrize("found", ["exit 1", None])
def test_an_older_python_is_named_before_anything_is_installed(
    tmp_path: Path, found: str | None
) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "envs").mkdir()
    for name in ("envs/requirements.txt", "pyproject.toml"):
        (tmp_path / name).touch()
    python = tmp_path / "python-of-old"
    if found:
        python.write_text(f"#!/bin/sh\n{found}\n")
        python.chmod(0o755)
    made = subprocess.run(
        ["make", ".venv/ready", f"PYTHON={python}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode != 0
    assert f"found no Python 3.11.5 or newer as {python}" in made.stderr
    assert "PYTHON=python3.12" in made.stderr
    assert not (tmp_path / ".venv").exists()

"""The environments agree: one set of exact pins."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PINS = [
    line
    for line in (ROOT / "envs" / "requirements.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


def test_every_pin_is_exact() -> None:
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in PINS)
    assert "torch==2.13.0" in PINS


def test_conda_takes_the_same_pins() -> None:
    spec = yaml.safe_load((ROOT / "envs" / "selfgen.yaml").read_text())
    assert spec["dependencies"][-1]["pip"] == PINS


def test_every_dependency_is_pinned() -> None:
    def name(text: str) -> str:
        return re.match(r"[\w.-]+", text).group().lower().replace("_", "-")

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for wanted in (project["dependencies"], *project["optional-dependencies"].values()):
        assert {name(text) for text in wanted} <= {name(pin) for pin in PINS}

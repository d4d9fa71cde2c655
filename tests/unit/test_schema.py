"""The schemas that editors check the configuration files with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

CONFIG = Path(__file__).parents[2] / "config"
FILES = sorted(CONFIG.rglob("*.yaml"))
MARK = "# yaml-language-server: $schema="


def named(path: Path) -> dict[str, Any]:
    """The schema that a file names in its first line."""
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith(MARK), f"{path.name}: {first}"
    return json.loads((path.parent / first.removeprefix(MARK)).read_text())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_shipped_file_names_its_schema_and_meets_it(path: Path) -> None:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    jsonschema.validate(content, named(path))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_key_that_is_mistyped_is_refused(path: Path) -> None:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    first = next(iter(content))
    content[f"{first}x"] = content.pop(first)
    with pytest.raises(jsonschema.ValidationError, match=f"{first}x"):
        jsonschema.validate(content, named(path))


def test_a_key_deep_inside_and_a_value_out_of_range_are_refused() -> None:
    path = CONFIG / "config.yaml"
    for key, value in (("betta", 0.5), ("beta", 1.5)):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        content["methods"]["bash"][key] = value
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(content, named(path))

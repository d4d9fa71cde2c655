"""The manual says what the configuration is, and config/README.md is that manual."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from selfgen import config
from selfgen.benchmarks import BENCHMARKS
from selfgen.cli.main import main
from selfgen.config import judging, methods, sources, synthetic
from selfgen.config.manual import SECTIONS, manual
from selfgen.config.schema import schema
from selfgen.core.types import Keys

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config"


def _classes() -> set[type]:
    """The sections that a file can have: those that no other is built on."""
    return {
        value
        for module in (config, methods, synthetic, judging, sources)
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, Keys)
        and not value.__subclasses__()
    } | set(BENCHMARKS.values())


def _sections() -> dict[str, str]:
    parts = manual().split("\n### ")[1:]
    return {part.partition("\n")[0]: part for part in parts}


def test_manual_and_schemas_are_in_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["manual", "--check"]) == 0, "run `selfgen manual`"


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("README.md", "| `beta` | number", "| `beta` | text"),
        ("schema.json", '"title": "Beta"', '"title": "Gamma"'),
        ("synthetic.schema.json", '"title": "Beta"', '"title": "Gamma"'),
    ],
)
def test_a_stale_file_fails_with_a_diff(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    right: str,
    wrong: str,
) -> None:
    assert main(["manual", "--folder", str(tmp_path)]) == 0
    path = tmp_path / name
    path.write_text(path.read_text().replace(right, wrong))
    assert main(["manual", "--check", "--folder", str(tmp_path)]) == 1
    shown = capsys.readouterr().err.splitlines()
    assert any(line.startswith("-") and wrong in line for line in shown)
    assert any(line.startswith("+") and right in line for line in shown)


def _problems(name: str, raw: Any) -> list[str]:
    validator = jsonschema.Draft202012Validator(json.loads(schema(name)))
    return [error.message for error in validator.iter_errors(raw)]


SHIPPED = sorted(
    path for path in CONFIG.rglob("*.yaml") if path.name != "paper_values.yaml"
)
"""The shipped configurations; the other file holds numbers to compare with."""


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_the_schema_that_a_shipped_file_names_accepts_it(path: Path) -> None:
    text = path.read_text()
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert named, "its first line names its schema"
    schema_path = (path.parent / named[1]).resolve()
    assert schema_path.parent == CONFIG
    assert not _problems(schema_path.name, yaml.safe_load(text))


def test_the_schemas_refuse_what_the_configuration_refuses() -> None:
    raw = yaml.safe_load((CONFIG / "config.yaml").read_text())
    assert "'seedz' was unexpected" in "".join(
        _problems("schema.json", raw | {"seedz": 1})
    )
    assert _problems("schema.json", raw | {"seeds": []})
    task = next(iter(raw["tasks"]))
    tasks = {task: raw["tasks"][task] | {"train_row": 3}}
    assert _problems("schema.json", raw | {"tasks": tasks})
    raw = yaml.safe_load((CONFIG / "controlled.yaml").read_text())
    assert _problems("synthetic.schema.json", raw | {"regime": {}})


def test_every_class_has_a_section_with_every_key() -> None:
    assert {section for _, section in SECTIONS} == _classes()
    assert len(SECTIONS) == len(_classes())
    written = _sections()
    for heading, section in SECTIONS:
        lines = written[heading].splitlines()
        for key in section.model_fields:
            assert any(line.startswith(f"| `{key}` | ") for line in lines), key
        assert all(not line.endswith("|  |") for line in lines), heading


@pytest.mark.parametrize(
    ("heading", "row"),
    [
        ("Top level", "| `seeds` | list of integer | `[0]` | at least 1 | "),
        ("Top level", "| `decoding` | section | its defaults |  | "),
        ("`tasks.NAME`", "| `train_rows` | integer | *required* | ≥ 1 | "),
        ("`tasks.NAME`", "| `max_words` | integer or null | `null` | ≥ 1 | "),
        ("`stages.NAME`", "| `learning_rate` | number | *required* | > 0 | "),
        (
            "`stages.NAME`",
            "| `adam_betas` | list of number | `[0.9, 0.999]` | each ≥ 0, ≤ 1, 2 items",
        ),
        (
            "`methods.NAME` with `mix: bash`",
            "| `beta` | number | `0.25` | ≥ 0, ≤ 1 | ",
        ),
        (
            "`methods.NAME` with `mix: bash`",
            '| `draw` | text | `"exact"` | `exact`, `onepass` | ',
        ),
        ("`methods.NAME` with `mix: rac`", "| `mix` | text | *required* | `rac` | "),
    ],
)
def test_rows_by_hand(heading: str, row: str) -> None:
    assert any(line.startswith(row) for line in _sections()[heading].splitlines())


def test_the_text_is_the_same_in_every_process() -> None:
    code = "from selfgen.config.manual import manual; print(manual(), end='')"
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            check=True,
        )
        assert done.stdout.decode() == manual()


def test_the_example_method_is_valid() -> None:
    example = manual().partition("```yaml\n")[2].partition("```")[0]
    raw = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    raw["methods"] |= yaml.safe_load(example)["methods"]
    assert config.load(raw).methods["bash-50"].beta == 0.5

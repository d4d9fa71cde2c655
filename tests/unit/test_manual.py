"""The reference says what the configuration is, and docs/configuration.md is that reference;
what the guide shows, config/README.md, is a configuration."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from selfgen import config
from selfgen.benchmarks import BENCHMARKS
from selfgen.cli.main import main
from selfgen.config import judging, sources, synthetic
from selfgen.config.manual import SECTIONS, manual
from selfgen.core.types import Keys
from selfgen.methods import METHODS
from selfgen.mixing import schedules
from selfgen.training import spec as training

ROOT = Path(__file__).parents[2]


def _classes() -> set[type]:
    """The sections that a file can have: those that no other is built on."""
    return {
        value
        for module in (config, synthetic, judging, sources, schedules, training)
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, Keys)
        and not value.__subclasses__()
    } | {*BENCHMARKS.values(), *METHODS.values()}


def _sections() -> dict[str, str]:
    parts = manual().split("\n## ")[1:]
    return {part.partition("\n")[0]: part for part in parts}


def test_the_page_is_in_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["manual", "--check"]) == 0, "run `selfgen manual`"


def test_a_stale_file_fails_with_a_diff(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "configuration.md"
    where = ["--out", str(path), "--schemas", str(tmp_path)]
    assert main(["manual", *where]) == 0
    path.write_text(path.read_text().replace("| `beta` | number", "| `beta` | text"))
    assert main(["manual", "--check", *where]) == 1
    shown = capsys.readouterr().err.splitlines()
    assert any(line.startswith("-| `beta` | text") for line in shown)
    assert any(line.startswith("+| `beta` | number") for line in shown)


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
        (
            "Top level",
            "| `seeds` | list of integer | `[0]` | each ≥ 0, ≤ 4294967295, at least 1, at"
            " most 1000 | ",
        ),
        ("Top level", "| `decoding` | section | its defaults |  | "),
        ("`tasks.NAME`", "| `train_rows` | integer | *required* | ≥ 1 | "),
        ("`tasks.NAME`", "| `max_words` | integer or null | `null` | ≥ 1 | "),
        (
            "`stages.NAME`",
            "| `learning_rate` | number or list of number | *required* | > 0; each > 0, at"
            " least 1 | ",
        ),
        ("`stages.NAME`", "| `weight_decay` | number | `0.0` | ≥ 0 | "),
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
            '| `draw` | text | `"autoregressive"` | `autoregressive`, `onepass` | ',
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


def test_what_the_guide_shows_is_valid() -> None:
    """The first block is a whole file, every other one lies on top of the laptop scale."""
    guide = (ROOT / "config" / "README.md").read_text(encoding="utf-8")
    whole, *more = map(
        yaml.safe_load,
        re.findall(r"^```yaml\n(.*?)^```", guide, re.DOTALL | re.MULTILINE),
    )
    assert config.load(whole).methods["bash"].mix == "bash"
    assert len(more) > 4
    for block in more:
        merged = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
        update_config(merged, block)
        loaded = config.load(merged)
        if "bash-50" in block.get("methods", {}):
            assert loaded.methods["bash-50"].beta == 0.5

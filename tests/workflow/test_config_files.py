"""Files of a configuration with one mistake, as a person gives them: one line that names it
and no job."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.flow import Flow

SMALL = (Path(__file__).parent / "small.yaml").read_text()
CASES = {
    "unknown key": ("seeds:", "sedes: [0]\n", "sedes: unknown key, .*nearest: seeds"),
    "type": ("train_rows: 8", "train_rows: eight", "tasks.descriptions.train_rows: "),
    "range": ("1.0e-3", "-1.0e-3", "stages.sft.learning_rate: found -0.001, allowed: "),
    "huge": (
        "test_rows: 4",
        f"test_rows: 1{'0' * 40}",
        "tasks.descriptions.test_rows:",
    ),
    "endless": ("5.0e-4", ".inf", "stages.second.learning_rate: found inf, allowed: "),
    "no parent": ("parent: sft,", "parent: nobody,", "methods.sft-continued.parent: "),
    "cycle": ("parent: base", "parent: bash", "methods"),
    "twice": (
        "  bash: {",
        "  sft: {label: X, mix: none}\n  bash: {",
        r"broken.yaml: methods.sft: found twice, in lines 28 and 30, allowed: once",
    ),
    "empty list": ("seeds:", "seeds: []\n", "seeds: found "),
    "null": ("mix: bash", "mix: null", "methods.bash.mix: found 'None', allowed: "),
    "a boolean": ("device: cpu", "device: no", "device: found False, allowed: auto, "),
    "a date": ("scale: small", "scale: 2026-01-01", "scale: found datetime.date"),
    "unicode": (
        "device: cpu",
        "device: \u0441pu",
        "device: found '\u0441pu', allowed: ",
    ),
    "no such file": (
        "scale: small",
        "scale: small\nevaluation: {values: no.yaml}",
        "evaluation.values: ",
    ),
    "no seed": (
        "seeds:",
        "seeds: [-1]\n",
        "seeds.0: found -1, allowed: greater than or",
    ),
    "no seed of numpy": (
        "seeds:",
        "seeds: [4294967296]\n",
        "seeds.0: found 4294967296",
    ),
    "aliases of aliases": (
        "x0:",
        "x0: &x0 [1, 2, 3, 4, 5, 6, 7, 8, 9]\n"
        + "".join(
            f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 9)}]\n" for i in range(1, 10)
        ),
        "broken.yaml: found aliases that stand for more than 1,000,000 values",
    ),
    "itself": (
        "x0:",
        "x0: &x0 [1, *x0]\n",
        "broken.yaml: x0: found the anchor of line 31 in itself",
    ),
    "no machine": (
        "max_new_tokens: 24",
        "max_new_tokens: 1000000000000",
        "tasks.descriptions.max_new_tokens: found 1000000000000: one row of 10",
    ),
    "anchor": (
        "base: {label: Base, mix: none}",
        "base: &b {label: Base, mix: none}\n  other: {<<: *b, beta: 0.5}",
        "methods.other.beta: unknown key",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_mistake_ends_in_one_line(bare: Flow, tmp_path: Path, case: str) -> None:
    old, new, expected = CASES[case]
    text = SMALL.replace(old, new, 1) if old in SMALL else SMALL + new
    (tmp_path / "broken.yaml").write_text(text)
    run = ("-n", "--directory", str(tmp_path), "--configfile")
    done = bare.snakemake(*run, str(tmp_path / "broken.yaml"))
    assert done.returncode != 0
    assert "Traceback" not in done.stdout and "\nrule " not in done.stdout
    said = [line for line in done.stdout.splitlines() if line.startswith("config: ")]
    assert len(said) == 1, done.stdout
    assert re.match(f"config: {expected}", said[0]), said

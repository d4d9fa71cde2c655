"""What ``selfgen bench`` cannot measure ends in one line, before anything is measured."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.unit.test_bench import bench
from tests.unit.test_prompts import folder  # noqa: F401 (fixture)

from selfgen.cli.main import main
from selfgen.core.errors import UserError
from selfgen.core.rows import write_rows
from selfgen.core.spec import Device
from selfgen.data.records import COLUMNS
from selfgen.models import loading


def test_rows_that_are_no_training_are_refused(
    folder: Path,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    argv = ["--weights", folder, "--out", tmp_path, "--precision", "fp32"]
    write_rows(tmp_path / "records.parquet", [{"id": "a", "prompt": "Why?"}])
    assert bench("parts", *argv, "--rows", tmp_path / "records.parquet") == 1
    assert "records.parquet: found no column step" in capsys.readouterr().err
    assert bench("parts", *argv, "--steps", "1") == 1
    assert "bench parts: found 1 steps with rows" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["forced", "--repeats", "0"], "--repeats: found 0, allowed: 1 or more"),
        (["forced", "--batch", "4", "0"], "--batch: found 0, allowed: 1 or more"),
        (["forced", "--beta", "0.1", "1.5"], "--beta: found 1.5, allowed: 0 to 1"),
        (["scale", "--records", "R", "--beta", "-1"], "beta: found -1"),
        (["free", "--rows", "-1"], "--rows: found -1, allowed: 1 or more"),
        (["free", "--temperature", "-1"], "temperature: found -1.0, input should be"),
        (["parts", "--steps", "0"], "--steps: found 0, allowed: 1 or more"),
        (["parts", "--length", "7"], "--length: found 7, allowed: 8 or more"),
        (["forced", "--records", "R"], "tokens of training records, allowed: 289 or"),
        (["free", "--records", "R"], "found no held-out record, allowed: one or more"),
        (["free", "--records", "R", "--siblings", "R"], "records: row 0 has no text"),
        (["parts", "--out", "R"], "a.parquet: File exists"),
        (["parts", "--out", "R/x"], "a.parquet/x: Not a directory"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(
    argv: list[str],
    said: str,
    folder: Path,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    record = dict.fromkeys(COLUMNS, "") | {
        "id": "a",
        "split": "train",
        "prompt": "Why?",
    }
    write_rows(tmp_path / "a.parquet", [record])
    kind, *given = [item.replace("R", f"{tmp_path}/a.parquet") for item in argv]
    where = ["--weights", str(folder), "--out", str(tmp_path), "--device", "cpu"]
    assert main(["bench", kind, *where, *given]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="this machine has mps")
def test_a_device_that_is_not_here_is_refused(folder: Path) -> None:  # noqa: F811
    with pytest.raises(UserError, match="device: found mps, but torch sees no GPU"):
        loading.place(Device("mps", "auto"), loading.load(folder))

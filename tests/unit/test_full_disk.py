"""A disk that is full, or that may not be written: one line, and nothing half-written."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import steps
from tests.disks import mounted
from tests.file_server import serve_texts
from tests.unit.test_training import SPEC, rows

from selfgen.core.rows import write_rows
from selfgen.data.chat_templates import CHATML
from selfgen.data.pins import FileSpec
from selfgen.models import base
from selfgen.models.base import ModelSpec

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("mount"), reason="only root mounts a disk"
)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a megabyte."""
    with mounted(tmp_path / "disk", "1m") as folder:
        yield folder


@pytest.fixture(autouse=True)
def starts_warm(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", path)


def failed(command: list[str]) -> list[str]:
    """The lines that a step ends with; it must fail."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()


def train(tmp_path: Path, out: Path, scratch: Path) -> list[str]:
    shape = {"hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 2}
    shape |= {"num_attention_heads": 4}
    model = ModelSpec("random", None, CHATML, "llama", shape)
    base.prepare(model, None, tmp_path / "base")
    write_rows(tmp_path / "rows.parquet", rows(2))
    return failed(
        steps.training(SPEC, tmp_path, out, scratch=scratch, checkpoint_minutes=0)
    )


@pytest.mark.slow
def test_in_the_weights_of_a_training(disk: Path, tmp_path: Path) -> None:
    said = train(tmp_path, disk, tmp_path / "scratch")[-1]
    assert said.startswith("error: ") and "No space left on device" in said
    assert not (disk / "weights").exists()
    # What was trained is not lost.
    kept = sorted(p.name for p in (tmp_path / "scratch").glob("*/*"))
    assert kept == ["step-00000001", "step-00000002"]


@pytest.mark.slow
def test_in_a_checkpoint(disk: Path, tmp_path: Path) -> None:
    said = train(tmp_path, tmp_path / "out", disk / "scratch")[-1]
    assert said.startswith("error: ") and "No space left on device" in said
    assert not (tmp_path / "out").exists()


def test_in_a_download(disk: Path, tmp_path: Path) -> None:
    with serve_texts(tmp_path / "served", {"big": "x" * 2_000_000}) as files:
        (found,) = files.values()
        spec = FileSpec(found["url"], found["sha256"])
        said = failed(steps.command("fetch_file", spec, {}, {"file": disk / "big"}))[-1]
    assert "No space left on device" in said
    assert not (disk / "big").exists()


@pytest.mark.slow
def test_in_a_drawing(disk: Path, tmp_path: Path) -> None:
    """No room is left but for some of the files."""
    shipped = Path(__file__).parents[2] / "docs/reference/laptop"
    (disk / "filler").write_bytes(bytes(1000_000))
    outputs = {k: disk / "figures" / f"main.{k}" for k in ("pdf", "svg", "png")}
    spec = (shipped / "tables" / "main.json").read_text()
    read = {"scores": "scores.parquet", "runs": "runs.csv"}
    inputs = {name: shipped / "collected" / path for name, path in read.items()}
    said = failed(steps.command("plot", spec, inputs, outputs))[-1]
    assert said.startswith("error: ") and "No space left on device" in said
    written = [path for path in disk.rglob("*.*") if path.is_file()]
    assert written, "not even one fitted"
    for path in written:
        whole = shipped / path.parent.name / path.name
        assert path.read_bytes() == whole.read_bytes()


@pytest.mark.slow
def test_a_disk_that_may_not_be_written(disk: Path, tmp_path: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    said = train(tmp_path, disk, tmp_path / "scratch")[-1]
    assert said.startswith("error: ") and "Read-only file system" in said

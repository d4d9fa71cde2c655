"""A disk that is full, or that may not be written: one line, and nothing half-written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.file_server import serve_texts
from tests.unit.test_training import SPEC, rows

from selfgen.cli.common import write_rows
from selfgen.core.spec import to_json
from selfgen.data.files import FileSpec
from selfgen.data.wording import CHATML
from selfgen.models import base
from selfgen.models.base import ModelSpec

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("mount"), reason="only root mounts a disk"
)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no disk can be mounted: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture(autouse=True)
def starts_warm(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", path)


def selfgen(*arguments: object) -> list[str]:
    """The lines that a verb ends with; it must fail."""
    command = [sys.executable, "-m", "selfgen", *map(str, arguments)]
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
    files = {"rows": tmp_path / "rows.parquet", "weights": tmp_path / "base"}
    files |= {
        "out": out / "weights",
        "curve": out / "curve",
        "manifest": out / "m.json",
    }
    paths = [text for name, path in files.items() for text in (f"--{name}", path)]
    paths += ["--scratch", scratch, "--checkpoint-minutes", "0"]
    return selfgen("train", "--spec", to_json(SPEC), *paths)


@pytest.mark.slow
def test_in_the_weights_of_a_training(disk: Path, tmp_path: Path) -> None:
    said = train(tmp_path, disk, tmp_path / "scratch")[-1]
    assert said.startswith("error: ") and "No space left on device" in said
    assert not (disk / "weights").exists()
    # What was trained is not lost.
    assert [p.name for p in (tmp_path / "scratch").glob("*/*")] == ["step-00000002"]


@pytest.mark.slow
def test_in_a_checkpoint(disk: Path, tmp_path: Path) -> None:
    said = train(tmp_path, tmp_path / "out", disk / "scratch")[-1]
    assert said.startswith("error: ") and "No space left on device" in said
    assert not (tmp_path / "out").exists()


def test_in_a_download(disk: Path, tmp_path: Path) -> None:
    with serve_texts(tmp_path / "served", {"big": "x" * 2_000_000}) as files:
        (found,) = files.values()
        spec = to_json(FileSpec(found["url"], found["sha256"]))
        said = selfgen("fetch-file", "--spec", spec, "--out", disk / "big")[-1]
    assert "No space left on device" in said
    assert not (disk / "big").exists()


@pytest.mark.slow
def test_in_a_drawing(disk: Path, tmp_path: Path) -> None:
    """No room is left but for some of the tables."""
    shipped = Path(__file__).parents[2] / "docs/reference/laptop"
    (disk / "filler").write_bytes(bytes(1000_000))
    folders = [x for kind in ("tables", "figures") for x in (f"--{kind}", disk / kind)]
    spec = (shipped / "tables" / "spec.json").read_text()
    said = selfgen(
        *("render", "--spec", spec, "--collected", shipped / "collected", *folders)
    )[-1]
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

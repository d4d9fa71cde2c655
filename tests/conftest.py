"""Clones of the checkout: a bare one, and one whose small run is done."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from selfgen.graph.sources import WHEELS
from tests.flow import Flow, clone
from tests.warm import install, serving

SMALL = Path(__file__).parent / "workflow" / "small.yaml"


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """What a verb says to its process is not said to those that later tests start."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Flow:
    """A clone in which nothing was run; tests only read it."""
    return clone(tmp_path_factory.mktemp("bare") / "clone")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, forks: Path | None) -> Flow:
    """A clone whose small run is done, by jobs that started warm; those to come do not."""
    flow = clone(tmp_path_factory.mktemp("finished") / "clone", WHEELS["wiki"].filename)
    shutil.copy2(SMALL, flow.root / "small.yaml")
    install(flow.root / "src", forks)
    done = flow.snakemake("--cores", "2", "--configfile", "small.yaml")
    assert done.returncode == 0, done.stdout
    (flow.root / "src" / "sitecustomize.py").unlink(missing_ok=True)
    return flow


@pytest.fixture
def flow(finished: Flow, tmp_path: Path) -> Flow:
    """The finished clone at another place, free to be edited."""
    return finished.copy(tmp_path / "clone")


@pytest.fixture(scope="session")
def forks() -> Iterator[Path | None]:
    """The socket of a process with the libraries, which forks (tests/warm.py)."""
    with serving() as path:
        yield path


@pytest.fixture(scope="session")
def warm(forks: Path | None) -> Callable[[Flow], None]:
    """Lets the jobs of a clone start warm."""
    return lambda flow: install(flow.root / "src", forks)

"""Clones of the checkout: a bare one, and one whose small run is done."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from selfgen.data.catalog import SOURCES
from tests import warm as forks
from tests.flow import Flow, clone

SMALL = Path(__file__).parent / "workflow" / "small.yaml"


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Flow:
    """A clone in which nothing was run; tests only read it."""
    return clone(tmp_path_factory.mktemp("bare") / "clone")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Flow:
    """A clone whose small run is done (the one real run of the fast tests)."""
    flow = clone(
        tmp_path_factory.mktemp("finished") / "clone", SOURCES["wiki"].filename
    )
    shutil.copy2(SMALL, flow.root / "small.yaml")
    done = flow.snakemake("--cores", "2", "--configfile", "small.yaml")
    assert done.returncode == 0, done.stdout
    return flow


@pytest.fixture
def flow(finished: Flow, tmp_path: Path) -> Flow:
    """The finished clone at another place, free to be edited."""
    return finished.copy(tmp_path / "clone")


@pytest.fixture(scope="session")
def warm() -> Iterator[Callable[[Flow], None]]:
    """Lets the jobs of a clone start warm (tests/warm.py)."""
    with forks.serving() as server:
        yield lambda flow: forks.install(flow.root, server)

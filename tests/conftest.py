"""Clones of the checkout: a bare one, and one whose small run is done."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from selfgen.graph.sources import WHEELS
from selfgen.runtime.forks import VARIABLE
from tests.flow import REPO, Flow, clone
from tests.tools import need
from tests.warm import install, serving

# Before torch is loaded: models are tiny, and each of the workers has a core to itself.
THREADS = int(os.environ.setdefault("OMP_NUM_THREADS", "1").partition(",")[0])
# What a test that breaks a model finds of it is not for others.
os.environ["SELFGEN_CACHE"] = ""
# Runs start no process of their own that forks: those of tests share one.
os.environ[VARIABLE] = ""

SMALL = Path(__file__).parent / "workflow" / "small.yaml"
FORKS = pytest.StashKey[Path | None]()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Of pytest-xdist, before a worker starts: all workers share one server of forks."""
    config = node.config
    if FORKS not in config.stash:
        stack = ExitStack()
        config.add_cleanup(stack.close)
        config.stash[FORKS] = stack.enter_context(serving())
    node.workerinput["forks"] = str(config.stash[FORKS] or "")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before fixtures, which may start what is not there."""
    for mark in item.iter_markers("needs"):
        need(*mark.args)


def pytest_collection_finish() -> None:
    """What is loaded by now is not garbage; not to look at it halves some tests."""
    gc.freeze()


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """What a verb says to its process is not said to those that later tests start, how much
    it logs is not what they log, and they do not compute with its threads."""
    before, log = dict(os.environ), logging.getLogger("selfgen")
    level = log.level
    yield
    os.environ.clear()
    os.environ.update(before)
    log.setLevel(level)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(THREADS)


Once = Callable[[str, Callable[[Path], None]], Flow]
Warm = Callable[[Flow], None]


@pytest.fixture(scope="session")
def once(
    tmp_path_factory: pytest.TempPathFactory, worker_id: str, forks: Path | None
) -> Once:
    """Makes a clone that all workers share: the first that asks makes it, the others wait."""
    folder = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        folder = folder.parent

    def made(name: str, make: Callable[[Path], None]) -> Flow:
        with FileLock(folder / f"{name}.lock"):
            done = folder / f"{name}.done"
            if not done.exists():
                make(folder / name / "clone")
                done.touch()
        return Flow(folder / name / "clone", forks)

    return made


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory, forks: Path | None) -> Flow:
    """A clone in which nothing was run; tests only read it."""
    flow = clone(tmp_path_factory.mktemp("bare") / "clone")
    flow.server = forks
    return flow


@pytest.fixture(scope="session")
def finished(once: Once, forks: Path | None) -> Flow:
    """A clone whose small run is done."""

    def make(root: Path) -> None:
        flow = clone(root, WHEELS["wiki"].filename)
        flow.server = forks
        shutil.copy2(SMALL, flow.root / "small.yaml")
        done = flow.snakemake("--cores", "2", "--configfile", "small.yaml")
        assert done.returncode == 0, done.stdout

    return once("finished", make)


@pytest.fixture
def flow(finished: Flow, tmp_path: Path) -> Flow:
    """The finished clone at another place, free to be edited."""
    return finished.copy(tmp_path / "clone")


@pytest.fixture(scope="session")
def forks(request: pytest.FixtureRequest) -> Iterator[Path | None]:
    """The socket of a process with the libraries, which forks (tests/warm.py)."""
    shared = getattr(request.config, "workerinput", None)
    if shared is not None:
        yield Path(shared["forks"]) if shared["forks"] else None
        return
    with serving() as path:
        yield path


@pytest.fixture(scope="session")
def path(forks: Path | None, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where Python looks first, so that verbs, launchers and scripts start warm."""
    folder = tmp_path_factory.mktemp("path")
    install(folder, forks)
    return os.pathsep.join(map(str, (folder, REPO, REPO / "src")))


@pytest.fixture(scope="session")
def warm(forks: Path | None) -> Warm:
    """Lets whatever Python starts in a clone start warm."""

    def install_in(flow: Flow) -> None:
        flow.server = forks
        install(flow.root / "src", forks)

    return install_in

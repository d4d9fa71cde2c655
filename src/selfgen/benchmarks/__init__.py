"""The built-in benchmarks, one file each: its keys, files, prompts, grades and table.

Every module here that defines ``BENCHMARK`` is a benchmark, by its name with ``-`` for ``_``.
Importing this is cheap: the workflow does whenever it is parsed.
"""

from __future__ import annotations

from selfgen.benchmarks.base import Benchmark, FewShot, Judged
from selfgen.core.registry import found, module_of
from selfgen.data.pins import FileSpec

BENCHMARKS: dict[str, type[Benchmark]] = found(__name__, "BENCHMARK")

JUDGED = {name: kind for name, kind in BENCHMARKS.items() if issubclass(kind, Judged)}

FEW_SHOT = {
    name: kind for name, kind in BENCHMARKS.items() if issubclass(kind, FewShot)
}


def key(name: str) -> str:
    """The section of a benchmark in ``evaluation``."""
    return name.replace("-", "_")


def module(name: str) -> str:
    """The module of a benchmark: a part of the code of its steps."""
    return module_of(__name__, name)


def pinned() -> dict[str, FileSpec]:
    """The files that benchmarks pin, by their names in ``files``."""
    return {n: file for kind in BENCHMARKS.values() for n, file in kind.sources.items()}

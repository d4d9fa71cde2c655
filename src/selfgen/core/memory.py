"""Memory: what this process took, and whether there is enough for what comes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from selfgen.core.errors import UserError


def peak_memory_mb() -> float:
    """Peak memory of this process: on the GPU where one is used, else resident."""
    import resource
    import sys

    import torch

    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return round(torch.cuda.max_memory_allocated() / 2**20, 1)
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)


def available() -> int:
    """Bytes that this process may still take: those that are free on the machine, or less
    where a scheduler or a container has set a limit."""
    left = [limit - used for limit, used in _limits()]
    return max(0, min([_free(), *left]))


def total() -> int:
    """Bytes of memory of this machine, or of what a scheduler or a container gives of it."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([physical, *(limit for limit, _ in _limits())])


def ask(where: str, what: str, needed: float, cure: str) -> None:
    """Raises UserError, in one line that ends in the ``cure``, where ``what`` takes more
    bytes than are available."""
    if needed > (free := available()):
        raise UserError(
            f"{where}: {what} takes {shown(needed)} of memory, {shown(free)} are free;"
            f" {cure}"
        )


def shown(number: float) -> str:
    """Bytes for people."""
    return f"{number / 1e9:,.1f} GB"


CGROUPS = Path("/sys/fs/cgroup")


def _free() -> int:
    """What Linux would give without swapping; all, where it is not Linux."""
    with contextlib.suppress(OSError, KeyError):
        return _table(Path("/proc/meminfo"))["MemAvailable:"] * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _limits() -> Iterator[tuple[int, int]]:
    """The limits of the control groups (version 2) of this process, and what is used of each;
    files in the page cache, which go when memory is short, are not."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        line = next(line for line in lines if line.startswith("0::"))
        own = CGROUPS / line.removeprefix("0::").strip("/")
        for group in (own, *own.parents):
            with contextlib.suppress(OSError, KeyError, ValueError):
                limit = int((group / "memory.max").read_text())  # or "max": none
                used = int((group / "memory.current").read_text())
                cached = _table(group / "memory.stat")
                yield limit, used - cached["active_file"] - cached["inactive_file"]


def _table(path: Path) -> dict[str, int]:
    """A file of names and numbers."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {parts[0]: int(parts[1]) for parts in lines}

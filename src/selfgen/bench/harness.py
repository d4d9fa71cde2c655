"""Timing of contenders side by side, and the page that shows the results."""

from __future__ import annotations

import gc
import json
import logging
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from selfgen.core import manifests, provenance
from selfgen.core.errors import UserError
from selfgen.core.spec import Device
from selfgen.runtime import process

log = logging.getLogger(__name__)


@dataclass
class Timing:
    """One contender on one case: seconds of each run, tokens of a run, peak memory.

    ``memory_mb``: peak of the device's allocations on CUDA, else, and where rows are counted
    (``scale``), of resident memory (Linux only; the weights are in it). ``notes``: further
    columns.
    """

    name: str
    case: dict[str, Any]
    tokens: int
    seconds: list[float] = field(default_factory=list)
    memory_mb: float | None = None
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def spread(self) -> tuple[str, ...]:
        """The median, the least and the most, as pages show them."""
        found = (self.median, min(self.seconds), max(self.seconds))
        return tuple(f"{seconds:.2f}" for seconds in found)

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.median


Run = Callable[..., dict[str, Any]]
Contender = tuple[str, Callable[[], dict[str, Any]]]
"""A name and a run, which returns notes. ``seconds`` and ``memory_mb`` among them replace the
wall time of the run and the peak of this process."""


KEPT = "freed memory kept"
"""Added to the name of a contender that keeps freed memory, as our steps do."""


class Apart:
    """A run of ``work(*args)`` in a process of its own, as a user would start it.

    So it has the memory allocator as it comes, or with ``keep`` as our steps set it up
    (``process.keep_freed_memory``). ``work`` is a function of a module; it notes the
    ``seconds`` that count. On a GPU, where the allocator of the process says nothing, one
    process makes all the runs, and what a run freed goes back to the device.
    """

    def __init__(self, work: Run, *args: Any, device: Any, keep: bool) -> None:
        self.call = (work, args, device, torch.get_num_threads(), keep)
        self.again = device.type == "cuda"
        self.pool: ProcessPoolExecutor | None = None

    def __call__(self) -> dict[str, Any]:
        if self.pool is None:
            spawn = multiprocessing.get_context("spawn")
            self.pool = ProcessPoolExecutor(1, mp_context=spawn)
        try:
            notes = self.pool.submit(_work, *self.call).result()
        except BrokenProcessPool:
            raise UserError(
                "bench: a process was killed, as the system does where memory runs out; take"
                " fewer or shorter rows (--help)"
            ) from None
        if not self.again:
            self.pool.shutdown()
            self.pool = None
        return notes


def _work(
    work: Run, args: tuple[Any, ...], device: Any, threads: int, keep: bool
) -> dict[str, Any]:
    torch.set_num_threads(threads)
    if keep:
        process.keep_freed_memory()
    if device.type == "cuda":
        _reset_peak(device)
    notes = work(*args)
    notes.setdefault("memory_mb", _peak(device))
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return notes


def compare(
    contenders: Sequence[Contender],
    case: dict[str, Any],
    tokens: int,
    repeats: int,
    device: Any,
) -> list[Timing]:
    """Time every contender ``repeats`` times, in turns, so that a slow minute of the
    machine is shared by all."""
    timings = [Timing(name, case, tokens) for name, _ in contenders]
    for repeat in range(repeats):
        for timing, (name, run) in zip(timings, contenders, strict=True):
            gc.collect()
            _reset_peak(device)
            started = time.perf_counter()
            timing.notes = run() or {}
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            wall = time.perf_counter() - started
            timing.seconds.append(timing.notes.pop("seconds", wall))
            peak = timing.notes.pop("memory_mb", _peak(device))
            timing.memory_mb = max(timing.memory_mb or 0.0, peak or 0.0)
            log.info(
                "%s, run %d of %d, %s: %.2f s",
                case,
                repeat + 1,
                repeats,
                name,
                timing.seconds[-1],
            )
    return timings


def _reset_peak(device: Any) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
    elif Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")


def _peak(device: Any) -> float | None:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resident_mb()


def resident_mb() -> float | None:
    """Peak of this process's resident memory, on Linux."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / 2**10


@contextmanager
def plain_generation(model: Any) -> Iterator[None]:
    """Without what a model's own configuration of ``generate`` adds to its arguments, such as
    penalties and ``top_p``: contenders draw from the same distribution."""
    from transformers import GenerationConfig

    own = model.generation_config
    model.generation_config = GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = own


def machine(where: Device) -> dict[str, Any]:
    """The machine of the measurement, without anything that identifies the host."""
    cuda = where.device == "cuda"
    versions = manifests.versions()
    return {
        "device": torch.cuda.get_device_name() if cuda else _processor(),
        "threads": None if cuda else torch.get_num_threads(),
        "precision": where.precision,
        "python": platform.python_version(),
        **{key: versions[key] for key in ("torch", "transformers")},
    }


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [x.split(":")[1].strip() for x in lines if x.startswith("model name")]
    flags = next((x.split() for x in lines if x.startswith("flags")), [])
    units = [unit for unit in ("avx2", "avx512f", "amx_tile") if unit in flags]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, " + (
        units[-1] if units else "no vector units named"
    )


@dataclass
class Bench:
    """A benchmark that was run: its title, the machine and the timings."""

    title: str
    machine: dict[str, Any]
    timings: list[Timing]

    def page(self, table: str) -> str:
        """The page for people, around the table of the timings."""
        facts = ", ".join(
            f"{key} {value}" for key, value in self.machine.items() if value
        )
        runs = min(len(timing.seconds) for timing in self.timings)
        said = "of one run" if runs == 1 else f"the median of {runs} runs"
        return (
            f"# {self.title}\n\nMeasured on: {facts}. A figure is {said}.\n\n{table}\n"
        )

    def write(self, out: Path, name: str, table: str) -> None:
        """``name.md`` and, with every run, ``name.json`` in the folder ``out``."""
        with provenance.atomic(out / f"{name}.md") as partial:
            partial.write_text(self.page(table), encoding="utf-8")
        with provenance.atomic(out / f"{name}.json") as partial:
            partial.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Bench:
        """What ``write`` wrote, from its JSON file."""
        saved = json.loads(path.read_text())
        timings = [Timing(**timing) for timing in saved.pop("timings")]
        return cls(**saved, timings=timings)


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table; numbers to the right."""
    lines = [header, [":--" if i == 0 else "--:" for i in range(len(header))], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)

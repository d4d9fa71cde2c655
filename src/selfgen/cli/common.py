"""What several verbs share: tables as Parquet, manifests, threads, progress lines."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import re
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from selfgen.core import provenance
from selfgen.core.errors import UserError
from selfgen.runtime import locks, process

log = logging.getLogger("selfgen")

VLLM_PYTHON = "SELFGEN_VLLM_PYTHON"
"""Variable that names an interpreter with vLLM, for the steps that are to use it."""


def add_manifest(parser: ArgumentParser) -> None:
    """The arguments of every step that writes a manifest."""
    parser.add_argument("--spec", required=True, help="the step's spec as JSON")
    parser.add_argument(
        "--manifest", type=Path, required=True, help="manifest to write"
    )


def add_compute(parser: ArgumentParser) -> None:
    """The arguments of every step that runs a model."""
    add_manifest(parser)
    add_threads(parser)
    parser.add_argument("--name", default="", help="the job's name in progress lines")


def add_threads(parser: ArgumentParser) -> None:
    """How many CPU threads torch may use."""
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count(), help="CPU threads"
    )


def add_engine(parser: ArgumentParser) -> None:
    """The arguments of every step that generates: how it decodes, not what."""
    parser.add_argument(
        "--engine", default="auto", help="auto (default), sequential or windowed"
    )
    parser.add_argument(
        "--gpus", type=int, default=1, help="over which vLLM spreads the model"
    )


def set_up(args: Namespace) -> None:
    """Let torch use exactly the threads that the job was given, and keep its memory; lease
    its GPUs if the job may run on one."""
    other = os.environ.pop(VLLM_PYTHON, None)
    if other and json.loads(getattr(args, "spec", "{}")).get("backend") == "vllm":
        _become(other)
    if wants_gpu(args):
        locks.take(max(1, getattr(args, "gpus", 1)))
    shared_by = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    process.set_threads(max(1, args.threads // shared_by))
    process.keep_freed_memory()


def _become(python: str) -> None:
    """Go on with this verb in another interpreter, as if its environment were active."""
    for name, first in (
        ("PYTHONPATH", provenance.PACKAGE.parent),
        ("PATH", Path(python).absolute().parent),
    ):
        rest = os.environ.get(name)
        os.environ[name] = f"{first}{os.pathsep}{rest}" if rest else str(first)
    try:
        os.execv(python, [python, "-m", "selfgen", *sys.argv[1:]])  # noqa: S606 (no shell)
    except OSError as error:
        raise UserError(f"{VLLM_PYTHON}: found {python}: {error.strerror}") from None


def wants_gpu(args: Namespace) -> bool:
    """Whether a job may run on a GPU, by its spec or its arguments."""
    spec = json.loads(getattr(args, "spec", "{}"))
    return (getattr(args, "device", None) or _device(spec)) in ("auto", "cuda")


def _device(spec: Any) -> str | None:
    """The device that a spec names, wherever it does; None in one that runs no model."""
    if not isinstance(spec, dict):
        return None
    own = spec.get("device")
    if isinstance(own, str):
        return own
    return next(filter(None, map(_device, spec.values())), None)


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Rows as Parquet, atomically, a thousand at a time in memory."""
    import pyarrow
    import pyarrow.parquet

    stream = iter(rows)
    first = pyarrow.Table.from_pylist(list(itertools.islice(stream, 1000)))
    with (
        provenance.atomic(path) as partial,
        pyarrow.parquet.ParquetWriter(partial, first.schema) as writer,
    ):
        writer.write_table(first)
        while part := list(itertools.islice(stream, 1000)):
            writer.write_table(pyarrow.Table.from_pylist(part, first.schema))


def write_texts(folder: Path, texts: dict[str, str]) -> None:
    """Each text by its name into the folder, atomically."""
    for name, text in texts.items():
        with provenance.atomic(folder / name) as partial:
            partial.write_text(text, encoding="utf-8")


def read_rows(paths: list[Path]) -> list[dict[str, Any]]:
    """The rows of some Parquet files, one after the other."""
    import pyarrow.parquet

    rows: list[dict[str, Any]] = []
    for path in paths:
        if not path.is_file():
            raise UserError(f"{path}: this file is missing")
        unchanged(path)
        rows += pyarrow.parquet.read_table(path).to_pylist()
    return rows


def hashes(inputs: Mapping[str, Path]) -> dict[str, str]:
    """``unchanged`` of each input. To be asked before the work, since it may raise."""
    return {name: unchanged(path) for name, path in inputs.items()}


def pinned(sources: Mapping[str, Path], pins: Iterable[str]) -> dict[str, str]:
    """``hashes`` of downloads. A pin that is no SHA-256 (a commit, a path) says nothing.

    Raises UserError: a download is another than the one that is pinned.
    """
    found = hashes(sources)
    for (name, path), pin in zip(sources.items(), pins, strict=False):
        if re.fullmatch("[0-9a-f]{64}", pin) and pin != found[name]:
            raise UserError(
                f"{path}: found sha256 {found[name][:12]}, pinned is {pin[:12]};"
                " delete it, and it is fetched anew"
            )
    return found


def unchanged(path: Path) -> str:
    """Content hash of a file or folder that a step reads.

    Raises UserError: another step made it, and since then it was changed by hand or lost a
    part: the manifest beside it names another hash.
    """
    found, known = provenance.sha256(path), None
    name = path.name.removesuffix(".parquet")
    for manifest in (path.with_name(f"{name}.json"), path.with_name("manifest.json")):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            text = manifest.read_text(encoding="utf-8")
            known = json.loads(text).get("outputs", {}).get(path.name)
        if isinstance(known, str) and known != found:
            raise UserError(
                f"{path}: changed since it was made: found {found[:12]}, but"
                f" {manifest} says {known[:12]}; delete it, and it is made anew"
            )
    return found


def write_manifest(
    args: Namespace,
    module: str | Sequence[str],
    inputs: dict[str, str],
    facts: dict[str, Any],
    outputs: Iterable[Path] = (),
) -> None:
    """The manifest beside an output: by default ``--out``.

    ``module``: the step's library module, or all that make its code; ``inputs``: content
    hashes by name.
    """
    modules = [module] if isinstance(module, str) else module
    code = provenance.code_digest(*modules)
    made = {path.name: provenance.sha256(path) for path in outputs or [args.out]}
    found = provenance.manifest(args.spec, inputs, code, facts | {"outputs": made})
    provenance.write_json(args.manifest, found)


class Clock:
    """Wall time of a step, and progress lines with the time that is left.

    Lines go to stderr, that is to the rule's log, and to the terminal where there is one.
    A step that ``resumes`` reports one unit at a time, and may start at any of them.
    """

    def __init__(self, name: str, unit: str, *, resumes: bool = False) -> None:
        self.name, self.unit, self.resumes = name, unit, resumes
        self.started_at = time.time()
        self.started = self.last = time.perf_counter()
        self.done_at_start: int | None = None

    def facts(self) -> dict[str, float]:
        """When the step started (seconds since 1970) and how long it has run: jobs run
        side by side, so only with both is it known how long a whole run took."""
        wall = time.perf_counter() - self.started
        return {
            "started_at": round(self.started_at, 1),
            "wall_seconds": round(wall, 2),
        }

    def __call__(self, done: int, total: int) -> None:
        now = time.perf_counter()
        if self.done_at_start is None:
            self.done_at_start = done - 1 if self.resumes else 0
        if now - self.last < 10 and done < total:
            return
        self.last = now
        pace = (now - self.started) / max(1, done - self.done_at_start)
        left = pace * (total - done)
        line = f"{self.name}: {self.unit} {done} of {total}, {_span(left)} left"
        log.info(line)
        terminal(line)


def terminal(line: str) -> None:
    """Show a line to a person: the log has stderr, so this goes to the terminal itself."""
    if os.environ.get("SELFGEN_PROGRESS") == "terminal":
        try:
            with Path("/dev/tty").open("w") as tty:
                print(line, file=tty)
        except OSError:
            print(line, file=sys.stderr)


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def pairs(values: list[str]) -> dict[str, Path]:
    """``name=path`` arguments as a dict."""
    return {name: Path(path) for name, _, path in (v.partition("=") for v in values)}

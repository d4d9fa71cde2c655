"""One step of the workflow, by the name of its rule: checks and hashes its inputs, runs it,
and writes its manifest."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import typing
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from selfgen.core import manifests, provenance
from selfgen.core.errors import UserError
from selfgen.core.spec import from_json
from selfgen.core.types import hint
from selfgen.graph.rules import RULES
from selfgen.runtime import launching
from selfgen.runtime.job import KNOBS, Job, knobs

VLLM_PYTHON = "SELFGEN_VLLM_PYTHON"
"""Variable that names an interpreter with vLLM, for the steps that are to use it."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("step", metavar="NAME", help="the name of the step's rule")
    parser.add_argument("--spec", required=True, help="the step's spec as JSON")
    # Many seeds have more files than a command line holds: @FILE has arguments, one a line.
    parser.fromfile_prefix_chars = "@"
    for name, what in (
        ("input", "a file to read"),
        ("made", "one that another step made, which its manifest must name"),
        ("output", "a file to write"),
    ):
        parser.add_argument(
            f"--{name}", metavar="NAME=PATH", action="append", default=[], help=what
        )
    parser.add_argument(
        "--pin",
        metavar="NAME=SHA256",
        action="append",
        default=[],
        help="the hash that an input must have",
    )
    parser.add_argument("--code", default="", help="digest of the step's code")
    parser.add_argument("--name", default="", help="the job's name in progress lines")
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count(), help="CPU threads"
    )
    parser.add_argument("--gpus", type=int, default=0, help="GPUs of the job")
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help=f"a run knob: {', '.join(KNOBS)}",
    )


def run(args: Namespace) -> None:
    if args.step not in RULES:
        raise UserError(f"step: found {args.step!r}{hint(args.step, list(RULES))}")
    other = os.environ.pop(VLLM_PYTHON, None)
    if other and json.loads(args.spec).get("backend") == "vllm":
        _become(other)
    rule = RULES[args.step]
    step = importlib.import_module(rule.module).step
    spec = from_json(
        typing.get_type_hints(step, localns={"Job": Job})["spec"], args.spec
    )
    made = _files(args.made)
    job = Job(
        inputs=_files(args.input) | made,
        outputs={name: paths[0] for name, paths in _files(args.output).items()},
        code=args.code or provenance.code_digest(rule.module),
        name=args.name or args.step,
        threads=args.threads,
        gpus=args.gpus,
        **knobs(args.set),
    )
    pins = dict(_pairs(args.pin))
    if launching.STATE not in os.environ:
        job = replace(job, hashes=manifests.checked(job.inputs, made, pins))
    started_at, started = time.time(), time.perf_counter()
    facts = step(spec, job)
    if facts is None:
        return
    if "manifest" in job.outputs:
        # Jobs run side by side, so only with both times is it known how long a whole run
        # took. What is gathered from the parts of other jobs tells theirs.
        told = {
            "started_at": round(started_at, 1),
            "wall_seconds": round(time.perf_counter() - started, 2),
            "run": job.told(),
            **facts,
        }
        manifests.write(
            job.output("manifest"),
            args.step,
            args.spec,
            dict(job.hashes) or manifests.checked(job.inputs, made, pins),
            job.code,
            [path for name, path in job.outputs.items() if name != "manifest"],
            told,
        )
    for function in job.after:
        function()


def _pairs(texts: Sequence[str]) -> list[tuple[str, str]]:
    """``NAME=VALUE`` arguments.

    Raises UserError: an argument without a name.
    """
    pairs = [(name, value) for name, _, value in (t.partition("=") for t in texts)]
    for text, (name, value) in zip(texts, pairs, strict=True):
        if not (name and value):
            raise UserError(f"step: found {text!r}, allowed: NAME=VALUE")
    return pairs


def _files(texts: Sequence[str]) -> dict[str, tuple[Path, ...]]:
    """Paths by name; a name may stand several times."""
    paths: dict[str, tuple[Path, ...]] = {}
    for name, path in _pairs(texts):
        paths[name] = (*paths.get(name, ()), Path(path))
    return paths


def _become(python: str) -> None:
    """Go on with this step in another interpreter, as if its environment were active."""
    for name, first in (
        ("PYTHONPATH", provenance.PACKAGE.parent),
        ("PATH", Path(python).absolute().parent),
    ):
        rest = os.environ.get(name)
        os.environ[name] = f"{first}{os.pathsep}{rest}" if rest else str(first)
    try:
        os.execv(python, [python, "-m", "selfgen", *sys.argv[1:]])  # noqa: S606
    except OSError as error:
        raise UserError(f"{VLLM_PYTHON}: found {python}: {error.strerror}") from None

"""How far the run of a folder is: from a second terminal, while it goes on."""

from __future__ import annotations

import json
import os
import platform
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.core.errors import UserError
from snakemake_logger_plugin_selfgen.run import PLACE, Job, span


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "directory",
        type=Path,
        nargs="?",
        default=Path(),
        help="of the run; here if none",
    )


def run(args: Namespace) -> None:
    path = args.directory / PLACE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{args.directory}: found no run, allowed: the folder of one"
        ) from None
    now = time.time()
    left = f", {found['left']}" if found["left"] and not found["ended"] else ""
    print(f"{found['done']} of {found['total']} jobs done{left}")
    if found["failed"]:
        print(f"failed: {', '.join(found['failed'])}")
    if found["ended"]:
        print(f"ended {span(now - found['at'])} ago")
    elif found["host"] == platform.node() and not _alive(found["pid"]):
        print("its process is gone; the same command goes on where it stopped")
    else:
        for one in found["running"]:
            logs = [str(args.directory / log) for log in one["logs"]]
            job = Job(**(one | {"logs": logs}))
            print(f"  {job.name}: {span(now - job.began)}  {job.progress()}".rstrip())


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

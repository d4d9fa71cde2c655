"""Python processes as forks of one that has imported the libraries (selfgen.runtime.forks).

Steps of the workflow are that in any case. Where a test looks at what is computed, and not
at how processes start and end, so are launchers, scripts and other verbs: ``sitecustomize``,
which Python imports first, asks for the fork. Snakemake is asked for directly (``run``): a
dry run takes a second less.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from selfgen.runtime import forks, process

LIBRARIES = (*forks.LIBRARIES, "snakemake.cli")

MODULES = ("selfgen", "torch.distributed.run", "accelerate.commands.launch")
"""What is run with ``-m``; scripts are, too."""

CLIENT = """\
import os, sys
def _warm():
    call = sys.orig_argv[2:] if sys.orig_argv[1:2] == ["-u"] else sys.orig_argv[1:]
    module = call[1] if call[:1] == ["-m"] else ""
    if not (module in {modules} or call and call[0].endswith(".py")):
        return
    if module == "selfgen" and call[3:4] and call[3].startswith("fetch"):
        return  # the libraries were told to stay offline
    import runpy, socket
    forks = runpy.run_path({file!r})
    path = [os.getcwd() if module else os.path.dirname(call[0]), *sys.path]
    with socket.socket(socket.AF_UNIX) as server:
        server.connect({path!r})
        server.recv(2)
        forks["send"](server, call, (0, 1, 2), path, os.getcwd(), dict(os.environ))
        os._exit(forks["status"](server))
if not hasattr(sys, "forked"):
    _warm()
"""


@contextlib.contextmanager
def serving() -> Iterator[Path | None]:
    """The socket of a running server; None where processes start as ever (not on Linux)."""
    environment = process.DEFAULTS | os.environ
    environment.pop("PYTHONPATH", None)
    with forks.serving(environment, LIBRARIES) as path:
        yield Path(path) if path else None


def run(
    server: Path, call: list[str], folder: Path, environ: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """A script as a fork of the server, and all that it says, as one text."""
    out, into = os.pipe()
    with socket.socket(socket.AF_UNIX) as client, os.fdopen(out) as said:
        with os.fdopen(into, "wb") as end, Path(os.devnull).open() as nothing:
            client.connect(str(server))
            assert client.recv(len(forks.READY)) == forks.READY
            files = (nothing.fileno(), end.fileno(), end.fileno())
            search = [str(Path(call[0]).parent), *sys.path]
            forks.send(client, call, files, search, folder, environ)
        text = said.read()
        status = forks.status(client)
    return subprocess.CompletedProcess(call, status, text)


def install(folder: Path, server: Path | None) -> None:
    """Let processes be forks of the server whose search path begins with the folder."""
    if server is None:
        return
    with (folder / "sitecustomize.py").open("a") as file:
        text = CLIENT.format(path=str(server), modules=MODULES, file=forks.__file__)
        file.write(text)

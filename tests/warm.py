"""Python processes as forks of one that has imported torch and transformers.

A job with a tiny model computes for a second, after it has imported libraries for eight.
Where a test looks at what is computed, and not at how processes start and end, it is spared
the eight: ``sitecustomize``, which Python imports first, hands arguments, folder, environment
and open files to the server, and waits for the end. The fork imports selfgen itself, from
where the process would have. Snakemake is asked for directly (``run``): a dry run takes a
second less.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

LIBRARIES = (
    *("torch", "torch.distributed.fsdp", "transformers.modeling_utils", "accelerate"),
    *("transformers.models.llama.modeling_llama", "pandas", "pyarrow.parquet"),
    *("datasets", "evaluate", "scipy.stats", "matplotlib.pyplot", "snakemake.cli"),
)

MODULES = ("selfgen", "torch.distributed.run", "accelerate.commands.launch")
"""What is run with ``-m``; scripts are, too."""

CLIENT = """\
import os, sys
def _warm():
    import json, socket
    call = sys.orig_argv[2:] if sys.orig_argv[1:2] == ["-u"] else sys.orig_argv[1:]
    module = call[1] if call[:1] == ["-m"] else ""
    if not (module in {modules} or call and call[0].endswith(".py")):
        return
    if module == "selfgen" and call[3:4] and call[3].startswith("fetch"):
        return  # the libraries were told to stay offline
    with socket.socket(socket.AF_UNIX) as server:
        server.connect({path!r})
        job = json.dumps([call, os.getcwd(), dict(os.environ), sys.path]).encode()
        socket.send_fds(server, [b"%16d" % len(job)], [0, 1, 2])
        server.sendall(job)
        os._exit(int(server.recv(4) or b"1"))
if not hasattr(sys, "forked"):
    _warm()
"""


@contextlib.contextmanager
def serving() -> Iterator[Path | None]:
    """The socket of a running server; None where processes start as ever (not on Linux)."""
    if sys.platform != "linux":
        yield None
        return
    from selfgen.cli.main import DEFAULTS

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "socket")
        command = [sys.executable, __file__, path]
        environment = DEFAULTS | os.environ
        environment.pop("PYTHONPATH", None)
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, stdin=pipe, stdout=pipe, text=True, env=environment
        ) as server:
            try:
                assert server.stdout.readline() == "ready\n"
                yield path
            finally:
                server.kill()


def run(
    server: Path, call: list[str], folder: Path, environ: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """A script as a fork of the server, and all that it says, as one text."""
    out, into = os.pipe()
    with socket.socket(socket.AF_UNIX) as client, os.fdopen(out) as said:
        with os.fdopen(into, "wb") as end, Path(os.devnull).open() as nothing:
            client.connect(str(server))
            job = json.dumps([call, str(folder), environ, None]).encode()
            files = [nothing.fileno(), end.fileno(), end.fileno()]
            socket.send_fds(client, [b"%16d" % len(job)], files)
            client.sendall(job)
        text = said.read()
        status = int(client.recv(4) or b"1")
    return subprocess.CompletedProcess(call, status, text)


def install(folder: Path, server: Path | None) -> None:
    """Let processes be forks of the server whose search path begins with the folder."""
    if server is None:
        return
    with (folder / "sitecustomize.py").open("a") as file:
        file.write(CLIENT.format(path=str(server), modules=MODULES))


def serve(path: str) -> None:
    """Fork for every process that asks, until standard input ends. Who asks before the
    libraries are there waits for them."""
    own = sys.path[1:]
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(64)
        print("ready", flush=True)
        _load()
        while sys.stdin not in select.select([server, sys.stdin], [], [])[0]:
            client, _ = server.accept()
            with client:
                if os.fork() == 0:
                    server.close()
                    _attend(client, own)


def _load() -> None:
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()
    threads = [
        p for p in Path("/proc/self/task").iterdir() if p.name != str(os.getpid())
    ]
    names = {thread.joinpath("comm").read_text().strip() for thread in threads}
    # Threads do not survive a fork, but that of Arrow's allocator, which begins anew.
    assert names <= {"jemalloc_bg_thd"}, names
    assert not any(name.partition(".")[0] == "selfgen" for name in sys.modules)
    # Nobody waits for those who wait for jobs.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def _attend(client: socket.socket, own: list[str]) -> NoReturn:
    """Run the job of a client and tell it the exit status; a client that dies takes the
    job along. ``own``: the search path of one that names none."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    head, files, _, _ = socket.recv_fds(client, 16, 3)
    body = b""
    while len(body) < int(head):
        body += client.recv(int(head) - len(body))
    if not (job := os.fork()):
        os.setpgid(0, 0)
        client.close()
        call, folder, environ, path = json.loads(body)
        _run(files, call, folder, environ, own if path is None else path)
    with contextlib.suppress(OSError):  # whoever is first
        os.setpgid(job, job)
    end = os.pidfd_open(job)
    if end not in select.select([end, client], [], [])[0]:
        os.killpg(job, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(job, 0)[1])
    with contextlib.suppress(OSError):
        client.sendall(b"%d" % (status if status >= 0 else 128 - status))
    os._exit(0)


def _run(
    files: list[int],
    call: list[str],
    folder: str,
    environ: dict[str, str],
    path: list[str],
) -> NoReturn:
    """What that process would have gone on with."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    if threads := environ.get("OMP_NUM_THREADS"):  # which torch reads when it is loaded
        sys.modules["torch"].set_num_threads(int(threads))
    module = call[0] == "-m"
    sys.argv = call[module:]
    sys.path[:] = [folder if module else str(Path(call[0]).parent), *path]
    sys.forked = True
    status: Any = 0
    try:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module("sitecustomize")
        if module:
            runpy.run_module(call[1], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(call[0], run_name="__main__")
    except SystemExit as end:
        status = end.code or 0
        if isinstance(status, str):
            print(status, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 1)


if __name__ == "__main__":
    serve(sys.argv[1])

"""Steps as forks of one process that has imported the libraries.

To import torch, transformers and what tables need takes seconds, which each of a run's many
short steps would pay. So a run on this machine starts one process that imports them; a step
hands it its arguments, folder, environment and open files, and waits for the end of a fork,
which imports selfgen itself, as it is at that moment. Where there is no such process, or it
does not answer, a step imports for itself. Only on Linux, where a fork is safe before any
thread runs.

This file runs as a script, too, that imports nothing of selfgen.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn, cast

VARIABLE = "SELFGEN_FORKS"
"""Of the environment of steps: the socket of the process that forks; empty: there is none,
and none is started."""

LIBRARIES = (
    *("torch", "torch.distributed.fsdp", "transformers.modeling_utils", "accelerate"),
    *("transformers.models.llama.modeling_llama", "pandas", "pyarrow.parquet"),
    *("datasets", "evaluate", "scipy.stats", "matplotlib.pyplot"),
)

READY = b"ok"
"""What a client is told once its fork may be asked for: until then it can go on alone."""


@contextlib.contextmanager
def serving(
    environ: Mapping[str, str], libraries: Sequence[str] = LIBRARIES
) -> Iterator[str]:
    """The socket of a process that forks, which ends with this one or before; empty where
    there is none."""
    if sys.platform != "linux":
        yield ""
        return
    with tempfile.TemporaryDirectory(prefix="selfgen-") as folder:
        path = str(Path(folder, "forks"))  # in a folder that only its owner may enter
        with subprocess.Popen(
            # -P: what lies in the working directory, or beside this file, is not imported.
            [sys.executable, "-P", __file__, path, *libraries],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environ),
            # What ends a run by its process group leaves it to end the jobs of that run.
            start_new_session=True,
        ) as server:
            out = cast(IO[str], server.stdout)
            try:
                yield path if out.readline() else ""
            finally:
                server.kill()


def start(environ: Mapping[str, str]) -> None:
    """Let all steps that this process starts be forks, until it ends."""
    if VARIABLE not in os.environ:
        stack = contextlib.ExitStack()
        atexit.register(stack.close)
        os.environ[VARIABLE] = stack.enter_context(serving(environ))


def lend(arguments: Sequence[str]) -> None:
    """Run ``selfgen`` with these arguments as a fork, and end as it ends; does nothing where
    no process forks."""
    if not (path := os.environ.get(VARIABLE)):
        return
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.connect(path)
            if server.recv(len(READY)) != READY:
                return
        except OSError:
            return
        # What the fork starts starts as ever: it may be meant for other machines.
        environ = {name: os.environ[name] for name in os.environ if name != VARIABLE}
        call = ["-m", "selfgen", *arguments]
        send(server, call, (0, 1, 2), sys.path, Path.cwd(), environ)
        # Ctrl-C and what a scheduler sends are for the fork.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: server.sendall(bytes([number])))
        end = status(server)
    os._exit(end)


def send(
    server: socket.socket,
    call: Sequence[str],
    files: Sequence[int],
    path: Sequence[str] | None,
    folder: Path,
    environ: Mapping[str, str],
) -> None:
    """Ask a server that has said ``READY`` for a fork: of ``call``, a script or ``-m`` and a
    module, with three open files, a search path (None: the script's folder, and that of the
    libraries), folder and environment."""
    job = json.dumps([list(call), str(folder), dict(environ), path])
    socket.send_fds(server, [b"%16d" % len(job.encode())], list(files))
    server.sendall(job.encode())


def status(server: socket.socket) -> int:
    """The exit status of the fork that was asked for, once it has ended."""
    return int(server.recv(4) or b"1")


def _serve(path: str, libraries: Sequence[str]) -> None:
    """Fork for every client, until standard input ends. Who asks before the libraries are
    there waits for them."""
    own = sys.path[1:]
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(64)
        print("listening", flush=True)
        _load(libraries)
        owner = sys.stdin.fileno()
        while owner not in select.select([server.fileno(), owner], [], [])[0]:
            client, _ = server.accept()
            with client:
                if os.fork() == 0:
                    server.close()
                    _attend(client, own)
    with contextlib.suppress(OSError):  # or it that started us has done it
        shutil.rmtree(Path(path).parent)


def _load(libraries: Sequence[str]) -> None:
    for name in libraries:
        importlib.import_module(name)
    gc.freeze()
    threads = [
        p for p in Path("/proc/self/task").iterdir() if p.name != str(os.getpid())
    ]
    names = {thread.joinpath("comm").read_text().strip() for thread in threads}
    # Threads do not survive a fork, but that of Arrow's allocator, which begins anew.
    if not names <= {"jemalloc_bg_thd"}:
        raise RuntimeError(f"found the threads {names}, which no fork would have")
    # Nobody waits for those who wait for jobs.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def _attend(client: socket.socket, own: list[str]) -> NoReturn:
    """Run the job of a client and tell it the exit status. Signals that the client was sent
    go on to the job; a client that dies takes the job along. ``own``: the search path of the
    libraries."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        client.sendall(READY)
        head, files, _, _ = socket.recv_fds(client, 16, 3)
        body = b""
        while len(body) < int(head):
            if not (more := client.recv(int(head) - len(body))):
                os._exit(1)
            body += more
    except (OSError, ValueError):  # it died before it said what it wants
        os._exit(1)
    if not (job := os.fork()):
        os.setpgid(0, 0)
        client.close()
        call, folder, environ, path = json.loads(body)
        if path is None:
            path = [str(Path(call[0]).parent), *own]
        _run(files, call, folder, environ, path)
    with contextlib.suppress(OSError):  # whoever is first
        os.setpgid(job, job)
    for file in files:
        os.close(file)
    end = os.pidfd_open(job)
    while end not in select.select([end, client.fileno()], [], [])[0]:
        told = client.recv(1)
        os.killpg(job, told[0] if told else signal.SIGKILL)
        if not told:
            break
    status = os.waitstatus_to_exitcode(os.waitpid(job, 0)[1])
    with contextlib.suppress(OSError):
        client.sendall(b"%d" % (status if status >= 0 else 128 - status))
    os._exit(0)


def _run(
    files: Sequence[int],
    call: Sequence[str],
    folder: str,
    environ: Mapping[str, str],
    path: Sequence[str],
) -> NoReturn:
    """What that process would have gone on with."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    threads, torch = environ.get("OMP_NUM_THREADS"), sys.modules.get("torch")
    if threads and torch is not None:  # which reads it when it is loaded
        torch.set_num_threads(int(threads))
    is_module = call[0] == "-m"
    sys.argv = list(call[is_module:])
    sys.path[:] = path
    vars(sys)["forked"] = True
    status: Any = 0
    try:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module("sitecustomize")
        if is_module:
            runpy.run_module(call[1], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(call[0], run_name="__main__")
    except SystemExit as end:
        status = end.code or 0
        if isinstance(status, str):
            print(status, file=sys.stderr)
    except BaseException as error:
        traceback.print_exc()
        status = 128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 1)


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2:])

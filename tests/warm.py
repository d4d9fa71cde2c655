"""Jobs of a run as forks of one process that has imported torch and transformers.

A job with a tiny model computes for a second, after it has imported libraries for eight.
A run whose results a test looks at, and not how its processes start and end, is spared the
eight: ``sitecustomize`` in its clone, which Python imports first, hands the job's arguments,
folder, environment and open files to the server, and waits for its end. The fork imports
selfgen itself, from the clone.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
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
    *("datasets", "evaluate", "scipy.stats", "matplotlib.pyplot"),
)

CLIENT = """\
import os, sys
if sys.orig_argv[1:3] == ["-m", "selfgen"] and "fetch" not in sys.orig_argv[3]:
    import json, socket
    with socket.socket(socket.AF_UNIX) as server:
        server.connect({path!r})
        job = json.dumps([sys.orig_argv[3:], os.getcwd(), dict(os.environ), sys.path])
        socket.send_fds(server, [b"%16d" % len(job)], [0, 1, 2])
        server.sendall(job.encode())
        os._exit(int(server.recv(4) or b"1"))
"""


@contextlib.contextmanager
def serving() -> Iterator[Path]:
    """The socket of a running server."""
    from selfgen.cli.main import DEFAULTS

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "socket")
        command = [sys.executable, __file__, path]
        environment = DEFAULTS | os.environ
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=environment
        ) as server:
            try:
                assert server.stdout.readline() == "ready\n"
                yield path
            finally:
                server.kill()


def install(root: Path, server: Path) -> None:
    """Let the jobs of a clone be forks of the server, but for downloads."""
    with (root / "src" / "sitecustomize.py").open("a") as file:
        file.write(CLIENT.format(path=str(server)))


def serve(path: str) -> NoReturn:
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
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(64)
        print("ready", flush=True)
        while True:
            client, _ = server.accept()
            with client:
                if os.fork() == 0:
                    server.close()
                    _attend(client)


def _attend(client: socket.socket) -> NoReturn:
    """Run the job of a client and tell it the exit status; a client that dies takes the
    job along."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    head, files, _, _ = socket.recv_fds(client, 16, 3)
    body = b""
    while len(body) < int(head):
        body += client.recv(int(head) - len(body))
    if not (job := os.fork()):
        os.setsid()
        client.close()
        _run(files, *json.loads(body))
    end = os.pidfd_open(job)
    if end not in select.select([end, client], [], [])[0]:
        os.killpg(job, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(job, 0)[1])
    with contextlib.suppress(OSError):
        client.sendall(b"%d" % (status if status >= 0 else 128 - status))
    os._exit(0)


def _run(
    files: list[int],
    argv: list[str],
    folder: str,
    environ: dict[str, str],
    path: list[str],
) -> NoReturn:
    """``python -m selfgen`` as that process would have gone on."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = ["selfgen", *argv]
    sys.path[:] = [folder, *path]
    status: Any = 1
    try:
        importlib.import_module("sitecustomize")
        status = importlib.import_module("selfgen.cli.main").main(argv)
    except SystemExit as end:
        status = end.code
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 1)


if __name__ == "__main__":
    serve(sys.argv[1])

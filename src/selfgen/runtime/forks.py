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
import ctypes
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
import threading
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
    *("pydantic.types", "rouge_score.rouge_scorer"),
)

PARENT_DEATH = 1
"""PR_SET_PDEATHSIG of linux/prctl.h."""

READY = b"ok"
"""What a client is told once its fork may be asked for: until then it can go on alone."""


PASSED_ON = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGCONT,
)
"""What a client that is sent it passes on to its fork, beside a stop."""


@contextlib.contextmanager
def serving(
    environ: Mapping[str, str],
    libraries: Sequence[str] = LIBRARIES,
    log: Path = Path(os.devnull),
) -> Iterator[str]:
    """The socket of a process that forks, which ends with this one or before; empty where
    there is none. ``log``: what it says, such as why it ended."""
    if sys.platform != "linux":
        yield ""
        return
    with (
        tempfile.TemporaryDirectory(prefix="selfgen-") as folder,
        log.open("wb") as said,
    ):
        path = str(Path(folder, "forks"))  # in a folder that only its owner may enter
        with subprocess.Popen(
            # -P: what lies in the working directory, or beside this file, is not imported.
            [sys.executable, "-P", __file__, path, *libraries],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            # More threads of the first, and a driver that the second starts when a library
            # asks whether there is a GPU, would not survive a fork.
            env={
                **environ,
                "OPENBLAS_NUM_THREADS": "1",
                "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
            },
            # What ends a run by its process group leaves it to end the jobs of that run.
            start_new_session=True,
        ) as server:
            out = cast(IO[bytes], server.stdout)
            try:
                yield path if out.readline() else ""
            finally:
                server.kill()


def start(environ: Mapping[str, str], log: Path) -> None:
    """Let all steps that this process starts be forks, until it ends."""
    if VARIABLE in os.environ:
        return
    stack, owner = contextlib.ExitStack(), os.getpid()
    os.environ[VARIABLE] = stack.enter_context(serving(environ, log=log))
    atexit.register(lambda: stack.close() if os.getpid() == owner else None)


def lend(arguments: Sequence[str]) -> None:
    """Run ``selfgen`` with these arguments as a fork, and end as it ends; does nothing where
    no process forks."""
    # What the step starts starts as ever: it may be meant for other machines.
    path = os.environ.pop(VARIABLE, "")
    if not path or None in (sys.stdin, sys.stdout, sys.stderr):
        return
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.connect(path)
            if server.recv(len(READY)) != READY:
                return
        except OSError:
            return

        def pass_on(number: int, _: Any) -> None:
            # Its group has no terminal, so that it would not stop at SIGTSTP.
            stops = number == signal.SIGTSTP
            with contextlib.suppress(OSError):  # it has ended in this moment
                server.sendall(bytes([signal.SIGSTOP if stops else number]))
            if stops:
                os.kill(os.getpid(), signal.SIGSTOP)

        numbers = [*PASSED_ON, signal.SIGTSTP]
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        call = ["-m", "selfgen", *arguments]
        send(server, call, (0, 1, 2), sys.path, Path.cwd(), os.environ)
        for number in numbers:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, pass_on)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
        end = status(server)
    os._exit(end)


def send(
    server: socket.socket,
    call: Sequence[str],
    files: Sequence[int],
    path: Sequence[str],
    folder: Path,
    environ: Mapping[str, str],
) -> None:
    """Ask a server that has said ``READY`` for a fork: of ``call``, a script or ``-m`` and a
    module, with three open files, a search path, folder and environment."""
    job = json.dumps([list(call), list(path), str(folder), dict(environ)]).encode()
    socket.send_fds(server, [b"%16d" % len(job)], list(files))
    server.sendall(job)


def status(server: socket.socket) -> int:
    """The exit status of the fork that was asked for, once it has ended; says where nobody
    else would that the system killed it."""
    end = int(server.recv(4) or b"1")
    if -end == signal.SIGKILL:
        print(
            "selfgen: the step was killed, as the system does where memory runs out; fewer"
            " --cores run fewer steps at once",
            file=sys.stderr,
        )
    return end if end >= 0 else 128 - end


def _serve(path: str, libraries: Sequence[str]) -> NoReturn:
    """Fork for every client, until standard input ends or packages are changed. Who asks
    before the libraries are there waits for them."""
    owner = sys.stdin.fileno()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(64)
        print("listening", flush=True)
        for name in libraries:
            if owner in select.select([owner], [], [], 0)[0]:
                break
            importlib.import_module(name)
        _check()
        packages = _packages()
        while owner not in select.select([server.fileno(), owner], [], [])[0]:
            client, _ = server.accept()
            with client:
                if _packages() != packages:
                    break  # what is installed now is imported by each step
                if os.fork() == 0:
                    server.close()
                    _attend(client)
    with contextlib.suppress(OSError):  # or it that started us has done it
        shutil.rmtree(Path(path).parent)
    os._exit(0)


def _check() -> None:
    """Raises RuntimeError, OSError: here no fork would be safe."""
    gc.freeze()
    own = Path("/proc/self/task")
    tasks = [path for path in own.iterdir() if path.name != str(os.getpid())]
    names = {(task / "comm").read_text().strip() for task in tasks}
    # Threads do not survive a fork, but that of Arrow's allocator, which begins anew.
    if not names <= {"jemalloc_bg_thd"}:
        raise RuntimeError(f"found the threads {names}, which no fork would have")
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        raise RuntimeError("found CUDA in use, which no fork could use")
    os.close(os.pidfd_open(os.getpid()))  # not every Python and every kernel has it
    # Nobody waits for those who wait for jobs.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def _packages() -> list[int]:
    """When packages were last installed or removed."""
    folders = [Path(name) for name in sys.path]
    return [folder.stat().st_mtime_ns for folder in folders if folder.is_dir()]


def _attend(client: socket.socket) -> NoReturn:
    """Run the job of a client and tell it the exit status. Signals that the client was sent
    go on to the job; a client that dies takes the job along."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    job = 0
    files: list[int] = []
    try:
        client.sendall(READY)
        head, files, _, _ = socket.recv_fds(client, 16, 3)
        body = b""
        while len(body) < int(head):
            if not (more := client.recv(int(head) - len(body))):
                os._exit(1)
            body += more
        if not (job := os.fork()):
            os.setpgid(0, 0)
            # Ends with its attendant, also where the system kills that for its memory.
            ctypes.CDLL(None).prctl(PARENT_DEATH, signal.SIGKILL)
            client.close()
            _run(files, *json.loads(body))
        with contextlib.suppress(OSError):  # whoever is first
            os.setpgid(job, job)
        while files:
            os.close(files.pop())
        end = os.pidfd_open(job)
        while end not in select.select([end, client.fileno()], [], [])[0]:
            told = client.recv(1)
            os.killpg(job, told[0] if told else signal.SIGKILL)
            if not told:
                break
        status = os.waitstatus_to_exitcode(os.waitpid(job, 0)[1])
        client.sendall(b"%d" % status)
    except BaseException as error:
        for file in [*files[2:], 2]:  # of the step, and of this process
            with contextlib.suppress(OSError):
                os.write(file, f"selfgen: the step had no process: {error}\n".encode())
        if job:
            with contextlib.suppress(OSError):
                os.killpg(job, signal.SIGKILL)
        os._exit(1)
    os._exit(0)


def _run(
    files: list[int],
    call: Sequence[str],
    path: Sequence[str],
    folder: str,
    environ: Mapping[str, str],
) -> NoReturn:
    """What that process would have gone on with."""
    for number in (2, 1, 0):
        os.dup2(files[number], number)
        os.close(files.pop())
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    tempfile.tempdir = None  # of another TMPDIR
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    # Which it reads when it is loaded; behind a comma stand those of inner loops.
    threads = environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if torch is not None and threads.isdecimal() and int(threads):
        torch.set_num_threads(int(threads))
    if numpy is not None:
        numpy.random.seed()
    is_module = call[0] == "-m"
    sys.argv, sys.path[:] = list(call[is_module:]), path
    vars(sys)["forked"] = True
    with contextlib.suppress(OSError):  # what ps and top show
        Path("/proc/self/comm").write_text("".join(call[3:4])[:15])
    status: Any = 0
    try:
        sys.modules.pop("sitecustomize", None)
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
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError):  # whoever read it is gone
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 1)


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2:])

"""A function with a time limit that holds: it runs in a child process, which ends itself.

A signal in our own process would end only what runs in its main thread, and no long
operation in C. The child is started once and takes calls one after the other, from whatever
thread. The limit is of processor time, so a busy machine gives the same results as an idle
one.
"""

from __future__ import annotations

import atexit
import faulthandler
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, cast

HANGING = 10
"""Times the limit: what takes so long by the clock waits for something, and is ended too."""


class TimedOut(Exception):
    """The function took too long, or its process died of it."""


class _Child:
    def __init__(self) -> None:
        source = str(Path(__file__).parents[2])
        found = os.environ.get("PYTHONPATH", "")
        path = os.pathsep.join([source, *([found] if found else [])])
        self.owner = os.getpid()
        self.process = subprocess.Popen(
            # -P: what lies in the working directory is not imported.
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": path},
            encoding="utf-8",
        )
        self.into = cast(IO[str], self.process.stdin)
        self.out = cast(IO[str], self.process.stdout)

    def ask(self, *request: Any) -> dict[str, Any]:
        try:
            self.into.write(json.dumps(request) + "\n")
            self.into.flush()
            line = self.out.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise TimedOut(request[0])
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


_lock = threading.Lock()
_child: _Child | None = None


def call(
    function: str, *args: Any, seconds: float, easy: Sequence[Any] | None = None
) -> Any:
    """``function``, a ``module:name``, of ``args``; arguments and result travel as JSON.

    A new process calls it with the arguments ``easy``, where given, first, without a limit:
    what a first call imports and builds takes seconds, and is no part of any answer.

    Raises TimedOut: it took more than ``seconds`` of processor time, or ``HANGING`` times
    that by the clock, or more memory or stack than there is.
    Raises RuntimeError: it raised something, which is named.
    """
    global _child
    with _lock:
        if _child is None or _child.owner != os.getpid():
            _child = _Child()
        try:
            answer = _child.ask(function, args, seconds, easy)
        except BaseException:
            # Also what interrupts us: a late answer must not be taken for another's.
            _child.end()
            _child = None
            raise
    if "error" in answer:
        raise RuntimeError(f"{function}: {answer['error']}")
    return answer["value"]


@atexit.register
def _end() -> None:
    if _child is not None and _child.owner == os.getpid():
        _child.end()


def _serve() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    # What a function prints is not taken for its result.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        warm: set[str] = set()
        for line in sys.stdin:
            function, args, seconds, easy = json.loads(line)
            module, _, name = function.partition(":")
            answer: dict[str, Any]
            try:
                called = getattr(importlib.import_module(module), name)
                if easy is not None and function not in warm:
                    called(*easy)
                    warm.add(function)
                # The system itself ends a process by this signal, whatever that is at; the
                # other one is a thread of its own, in C.
                signal.setitimer(signal.ITIMER_PROF, seconds)
                faulthandler.dump_traceback_later(
                    HANGING * seconds, exit=True, file=nowhere
                )
                answer = {"value": called(*args)}
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            signal.setitimer(signal.ITIMER_PROF, 0)
            faulthandler.cancel_dump_traceback_later()
            print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    _serve()

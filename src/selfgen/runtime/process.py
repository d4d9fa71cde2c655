"""Set-up of a process before it computes: environment, memory, garbage collection."""

from __future__ import annotations

import atexit
import ctypes
import gc

DEFAULTS = {
    # Whatever is not the fetch stage works on files that are already here.
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    # Of small products, numpy's threads wait for each other where cores are busy: tables of
    # synthetic experiments once took 58 s instead of 4. torch has threads of its own.
    "OPENBLAS_NUM_THREADS": "1",
    # A rule's log is no terminal; our own progress lines stay.
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}
"""Of the environment, where it does not say otherwise."""


def search_less_for_cycles() -> None:
    """Collect garbage only every 50,000 new objects, and not at exit.

    torch and transformers make millions of objects that stay alive; searching them again and
    again took a sixth of the time of a job that answers with a tiny model.
    """
    gc.set_threshold(50_000)
    atexit.register(gc.freeze)


def keep_freed_memory() -> None:
    """Let glibc keep large freed blocks for the next allocation of this process.

    Otherwise they go back to the system, and every step faults them in again: an eighth of
    the training time of SmolLM2-135M on two cores. Does nothing without glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    trim_threshold, mmap_max = -1, -4  # malloc.h
    mallopt(mmap_max, 0)
    mallopt(trim_threshold, -1)  # never, as mallopt(3) says

"""What a process that computes sets up, once, before it does."""

from __future__ import annotations

import ctypes


def set_threads(threads: int) -> None:
    """Let torch use exactly the CPU threads that the job was given."""
    import torch

    torch.set_num_threads(threads)


def keep_freed_memory() -> None:
    """Let glibc keep large freed blocks for the next allocation of this process.

    It gives them back to the system otherwise, and every step faults them in anew: of
    SmolLM2-135M's training on two cores that was an eighth of the time. Without glibc
    nothing is changed.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    trim_threshold, mmap_max = -1, -4  # malloc.h
    mallopt(mmap_max, 0)
    mallopt(trim_threshold, 2**31 - 1)

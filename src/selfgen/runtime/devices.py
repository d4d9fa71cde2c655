"""The share of the machine that a job takes before it runs a model."""

from __future__ import annotations

import os

from selfgen.runtime import locks, process


def claim(device: str, threads: int, gpus: int = 1) -> None:
    """Lock so many GPUs, where ``device`` (auto, cpu, cuda or mps) may be one; let torch use
    exactly so many CPU threads, and keep its freed memory."""
    import torch

    if device in ("auto", "cuda"):
        locks.take(max(1, gpus))
    shared_by = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    torch.set_num_threads(max(1, threads // shared_by))
    process.keep_freed_memory()

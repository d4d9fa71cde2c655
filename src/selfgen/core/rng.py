"""Addressed randomness: a draw is a function of where it is used, not of when.

A stream of random numbers would tie every token to the batch it was drawn in. Here each
draw has an address, (seed, purpose, example id, position[, token]), so batch size, order,
shards and resumption cannot change it. The generator is the finaliser of SplitMix64
(Steele et al. 2014) over a key and a counter, in wrapping 64-bit integers on any device.
"""

from __future__ import annotations

import hashlib

import torch

_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
_MIX_1 = 0xBF58476D1CE4E5B9 - (1 << 64)
_MIX_2 = 0x94D049BB133111EB - (1 << 64)

CACHED = 2**17
"""Numbers of noise that are computed at a time: some MB on the way."""


def row_key(seed: int, purpose: str, *address: str | int) -> int:
    """A signed 64-bit key for one row of draws."""
    text = "\x00".join([str(seed), purpose, *map(str, address)])
    return int.from_bytes(
        hashlib.sha256(text.encode()).digest()[:8], "big", signed=True
    )


def _xor_shift(x: torch.Tensor, bits: int) -> torch.Tensor:
    """x ^ (x >> bits), in place; the operator on signed integers is arithmetic, so the
    bits that it copies from the sign are cleared."""
    shifted = x >> bits
    shifted &= (1 << (64 - bits)) - 1
    x ^= shifted
    return x


def _steps(counters: torch.Tensor) -> torch.Tensor:
    """What is added to a key for each of ``counters``."""
    return (counters + 1) * _GOLDEN


def _mix(x: torch.Tensor) -> torch.Tensor:
    """In place, which halves the time."""
    x = _xor_shift(x, 30).mul_(_MIX_1)
    x = _xor_shift(x, 27).mul_(_MIX_2)
    return _xor_shift(x, 31)


def _uniform(bits: torch.Tensor) -> torch.Tensor:
    """Of mixed ``bits``, which are overwritten."""
    bits >>= 11
    bits &= (1 << 53) - 1
    return bits.to(torch.float64).add_(0.5).mul_(2.0**-53)


def uniform(keys: torch.Tensor, counters: torch.Tensor) -> torch.Tensor:
    """Numbers in (0, 1), float64, for broadcastable int64 ``keys`` and ``counters``."""
    return _uniform(_mix(keys + _steps(counters)))


def gumbel(keys: torch.Tensor, positions: torch.Tensor, size: int) -> torch.Tensor:
    """Standard Gumbel noise [rows, size], float32, for ``keys`` and ``positions`` [rows].

    ``argmax(logits / temperature + gumbel)`` is a draw from the tempered softmax.
    """
    if keys.device.type == "mps":  # has no float64
        return gumbel(keys.cpu(), positions.cpu(), size).to(keys.device)
    row = _mix(keys + _steps(positions))[:, None]
    steps = _steps(torch.arange(size, device=keys.device))
    noise = torch.empty((len(row), size), dtype=torch.float32, device=keys.device)
    # On a CPU a part stays in its cache.
    rows = len(row) if row.is_cuda else max(1, CACHED // size)
    for i in range(0, len(row), max(1, rows)):
        part = noise[i : i + rows]
        part.copy_(_uniform(_mix(row[i : i + rows] + steps)).log_().neg_())
        part.log_().neg_()
    return noise

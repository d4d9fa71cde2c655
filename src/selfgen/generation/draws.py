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


def row_key(seed: int, purpose: str, *address: str | int) -> int:
    """A signed 64-bit key for one row of draws."""
    text = "\x00".join([str(seed), purpose, *map(str, address)])
    return int.from_bytes(
        hashlib.sha256(text.encode()).digest()[:8], "big", signed=True
    )


def _shift(x: torch.Tensor, bits: int) -> torch.Tensor:
    """Logical shift right; the operator on signed integers is arithmetic."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _hash(x: torch.Tensor) -> torch.Tensor:
    x = (x ^ _shift(x, 30)) * _MIX_1
    x = (x ^ _shift(x, 27)) * _MIX_2
    return x ^ _shift(x, 31)


def uniform(keys: torch.Tensor, counters: torch.Tensor) -> torch.Tensor:
    """Numbers in (0, 1), float64, for broadcastable int64 ``keys`` and ``counters``."""
    bits = _shift(_hash(keys + (counters + 1) * _GOLDEN), 11)
    return (bits.to(torch.float64) + 0.5) * 2.0**-53


def gumbel(keys: torch.Tensor, positions: torch.Tensor, size: int) -> torch.Tensor:
    """Standard Gumbel noise [rows, size] for ``keys`` and ``positions`` [rows].

    ``argmax(logits / temperature + gumbel)`` is a draw from the tempered softmax.
    """
    row = _hash(keys + (positions + 1) * _GOLDEN)
    tokens = torch.arange(size, device=keys.device)
    return -torch.log(-torch.log(uniform(row[:, None], tokens[None, :])))

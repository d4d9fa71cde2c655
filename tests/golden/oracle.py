"""The passes of docs/method.md by hand: one row, no cache, no padding, nothing of selfgen.

The noise is SplitMix64 in Python's own integers, at the addresses that docs/method.md names.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

import torch


def splitmix(key: int, counter: int) -> int:
    x = (key + (counter + 1) * 0x9E3779B97F4A7C15) % 2**64
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB % 2**64
    return x ^ (x >> 31)


def uniform(key: int, counter: int) -> float:
    return ((splitmix(key, counter) >> 11) + 0.5) * 2.0**-53


def key_of(*address: Any) -> int:
    text = "\x00".join(map(str, address))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def truncated(scores: list[float], top_k: int, top_p: float) -> list[float]:
    """The ``top_k`` best, then the fewest of those that hold ``top_p`` of the mass."""
    best = sorted(range(len(scores)), key=lambda i: -scores[i])[: top_k or None]
    mass = [math.exp(scores[i] - scores[best[0]]) for i in best]
    kept = [i for n, i in enumerate(best) if sum(mass[:n]) < top_p * sum(mass)]
    return [s if i in kept else -math.inf for i, s in enumerate(scores)]


@torch.inference_mode()
def mixed(
    model: Any, row: Any, seed: int, rates: list[float], banned: list[int], how: Any,
    *, onepass: bool = False,
) -> tuple[list[int], list[bool]]:  # fmt: skip
    """The mixed answer of ``row`` and which of its positions were drawn."""
    given, last = list(row.answer_ids), len(row.answer_ids) - 1
    mix, noise = (key_of(seed, p, row.epoch, row.id) for p in ("mix", "token"))
    drawn = [t < last and uniform(mix, t) < rate for t, rate in enumerate(rates)]
    made: list[int] = []
    for t, token in enumerate(given):
        if drawn[t]:
            read = list(row.prompt_ids) + (given[:t] if onepass else made)
            logits = model(torch.tensor([read])).logits[0, -1]
            scores = [
                -math.inf if i in banned else x for i, x in enumerate(logits.tolist())
            ]
            if how.temperature:
                scores = [x / how.temperature for x in scores]
                scores = truncated(scores, how.top_k, how.top_p)
                at = splitmix(noise, t)
                scores = [
                    x - math.log(-math.log(uniform(at, i)))
                    for i, x in enumerate(scores)
                ]
            token = scores.index(max(scores))
        made.append(token)
    return made, drawn

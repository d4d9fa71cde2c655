"""Rows of what the instrument reads, made up."""

from __future__ import annotations

import random
from typing import Any

from selfgen.measures import degeneration


def whole(stream: random.Random) -> dict[str, Any]:
    """A row of whatever a model with an oracle, a checker and features gives."""

    def floats(n: int) -> list[float]:
        return [stream.random() for _ in range(n)]

    def wrong(n: int) -> list[bool]:
        return [stream.random() < 0.4 for _ in range(n)]

    def words(n: int) -> list[str]:
        return [stream.choice(("", "", "order")) for _ in range(n)]

    ids = {
        f"{side}_ids": [stream.randrange(4) for _ in range(20)]
        for side in ("answer", "sample", "reference")
    }
    decay = [stream.uniform(0.8, 1.2) * 0.9**lag for lag in range(32)]
    planted = {
        f"planted_{prefix}{kind}": [x * stream.uniform(0.9, 1.1) for x in decay]
        for prefix in ("", "kl_")
        for kind in ("random", "own", "shuffled")
    }
    return {
        **ids,
        **planted,
        "clusters": [stream.randrange(3), stream.randrange(3), 3],
        **{f"self_bleu_{side}": stream.random() for side in degeneration.SIDES},
        **{
            f"distinct_{n}_{side}": [stream.uniform(1, 20), 20.0]
            for n in degeneration.NGRAMS
            for side in degeneration.SIDES
        },
        **{f"{side}_ended": stream.random() < 0.5 for side in ("answer", "sample")},
        **{name: floats(32) for name in ("fixed_kl", "free_kl", "gold_kl")},
        **{name: floats(20) for name in ("gold_right", "free_right", "nll")},
        **{name: floats(20) for name in ("confidence", "own_confidence")},
        **{name: floats(20) for name in ("entropy", "own_entropy")},
        **{
            f"{name}_{side}": stream.random() + 0.1
            for name in ("oracle_nll", "chrf")
            for side in ("own", "reference")
        },
        "free_wrong": [True, *wrong(19)],
        "forced_wrong": wrong(20),
        "steps_due": 8,
        "steps_free": words(8),
        "steps_forced": words(8),
        "planted_steps": [
            stream.choice(("", *["order"] * n)) for n in [9] * 4 + [1] * 4
        ],
        "clean_steps": [""] * 8,
    }

"""Invented results of methods whose steps a checker judges, for tables of them."""

from __future__ import annotations

import random
from typing import Any

import pandas as pd

from selfgen.report.collect import collect_scores
from selfgen.report.runs import RUNS
from selfgen.report.spec import Cell, Column, TableSpec

LABELS = {"sft": "SFT", "bash": "BASH", "rac": "RAC", "other": "Other"}
COLUMN = Column("words", "test", "whole", "words")
ITEMS = 60
STEPS = 10


def made(
    score: dict[str, float],
    excess: dict[str, float],
    seeds: int = 3,
    changed: float = 0.1,
) -> tuple[pd.DataFrame, pd.DataFrame, list[Any], TableSpec[Any]]:
    """Scores and steps of methods with such means, and what the pass of BASH changed."""
    parts, errors, cells = [], [], []
    for method in score:
        for seed in range(seeds):
            cell = Cell("words", "m", method, "direct", seed)
            cells.append(cell)
            stream = random.Random(f"{method}/{seed}")
            ids = [f"i{i}" for i in range(ITEMS)]
            whole = [float(stream.random() < score[method]) for _ in ids]
            frame = pd.DataFrame({"id": ids, "split": "test", "whole": whole})
            parts.append((vars(cell), frame))
            errors.append(
                [
                    {
                        "id": i,
                        "due": STEPS,
                        "free": [
                            "x" * (stream.random() < 0.1 + excess[method])
                            for _ in range(STEPS)
                        ],
                        "forced": ["x" * (stream.random() < 0.1) for _ in range(STEPS)],
                    }
                    for i in ids
                ]
            )
    runs = [
        {"task": "words", "model": "m", "method": method, "seed": seed, "parent": "sft"}
        | {"changed_share": changed if method == "bash" else float("nan")}
        for method in score
        for seed in range(seeds)
    ]
    spec = TableSpec(
        *("claims", "claims", "tiny", (COLUMN,), LABELS, "sft", ("bash", "rac")),
        *(0.95, tuple(cells), None),
    )
    return collect_scores(parts), pd.DataFrame(runs, columns=list(RUNS)), errors, spec


SAME = {"sft": 0.5, "bash": 0.5, "rac": 0.5, "other": 0.5}
NONE = dict.fromkeys(SAME, 0.05)

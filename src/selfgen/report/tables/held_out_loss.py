"""The losses of models on held-out dialogues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from selfgen.evaluation.statistics import mean_interval
from selfgen.report.grid import Box, Grid, bracketed, numbers, scope_notes
from selfgen.report.registry import Drawn, Rows, Table, by_method, rows
from selfgen.report.spec import TableSpec

CSV = ("task", "model", "method", "loss", "low", "high", "blocks", "tokens", "seeds")


def draw(losses: Sequence[Rows], spec: TableSpec[Any]) -> Drawn:
    """Loss of each model on held-out dialogues.

    From the rows ``{id, loss, tokens}`` of each cell; seeds of a method are read together."""
    shown: list[list[Box]] = []
    lines = []
    intervals = []
    for key, by_seed in by_method(spec, losses).items():
        values = {
            seed: {row["id"]: row["loss"] for row in part}
            for seed, part in by_seed.items()
        }
        loss = mean_interval(values, spec.confidence, key, share=False)
        intervals.append(loss)
        tokens = sum(row["tokens"] for row in next(iter(by_seed.values())))
        lines.append([*key, *numbers(loss), loss.n, tokens, loss.seeds])
        task, model, method = key
        shown.append(
            [
                *(task, model, spec.labels[method]),
                bracketed(loss, 4, unit=1),
                *(f"{loss.n}", f"{tokens / 1e6:.2f}"),
            ]
        )
    made = Grid(
        name=spec.name,
        title=f"Loss on held-out dialogues, in nats a token (scale: {spec.scale}).",
        header=("Task", "Model", "Method", "Loss", "Blocks", "Tokens, M"),
        rows=shown,
        notes=[
            "Whole dialogues, packed as those that were trained on; all tokens count."
            f" Brackets: {spec.percent} interval over seeds and blocks.",
            *scope_notes(intervals, "blocks"),
        ],
        left=3,
    )
    return Drawn([made], CSV, lines)


TABLE = Table(draw, {"losses": rows})

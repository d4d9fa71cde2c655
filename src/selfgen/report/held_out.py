"""The losses of models on held-out dialogues as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from selfgen.core.rows import read_rows
from selfgen.evaluation.statistics import Bootstrap, Interval, mean_interval
from selfgen.report import grid
from selfgen.report.grid import Entry, Grid
from selfgen.report.spec import LossTableSpec

if TYPE_CHECKING:
    from selfgen.runtime.job import Job

NAME = "held-out-loss"
CSV = ("task", "model", "method", "loss", "low", "high", "blocks", "tokens", "seeds")

Rows = Sequence[Mapping[str, Any]]


def tabulate(losses: Sequence[Rows], spec: LossTableSpec) -> dict[str, str]:
    """``held-out-loss.md``, ``.tex`` and ``.csv`` from the rows ``{id, loss, tokens}`` of
    each of ``spec.cells``. Seeds of a method are read together."""
    how = Bootstrap(spec.bootstrap_samples, spec.confidence, spec.seed)
    by_seed: dict[tuple[str, ...], dict[int, Rows]] = {}
    for cell, rows in zip(spec.cells, losses, strict=True):
        by_seed.setdefault((cell.task, cell.model, cell.method), {})[cell.seed] = rows
    lines, found = [], {}
    for key, parts in by_seed.items():
        values = {k: {row["id"]: row["loss"] for row in v} for k, v in parts.items()}
        one = found[key] = mean_interval(values, how, key)
        tokens = sum(row["tokens"] for row in next(iter(parts.values())))
        lines.append([*key, one.value, one.low, one.high, one.n, tokens, one.seeds])
    made = _grid(found, [line[-2] for line in lines], spec)
    return {
        f"{NAME}.md": grid.to_markdown(made),
        f"{NAME}.tex": grid.to_latex(made),
        f"{NAME}.csv": grid.to_csv(CSV, lines),
    }


def _grid(
    found: Mapping[tuple[str, ...], Interval], tokens: list[int], spec: LossTableSpec
) -> Grid:
    rows = [
        [
            *map(Entry, (task, model, spec.labels[method])),
            Entry(f"{one.value:.4f}", below=f"[{one.low:.4f}, {one.high:.4f}]"),
            *map(Entry, (f"{one.n}", f"{n / 1e6:.2f}")),
        ]
        for ((task, model, method), one), n in zip(found.items(), tokens, strict=True)
    ]
    header = ("Task", "Model", "Method", "Loss", "Blocks", "Tokens, M")
    return Grid(
        name=NAME,
        title=f"Loss on held-out dialogues, in nats a token (scale: {spec.scale}).",
        header=[*map(Entry, header)],
        rows=rows,
        notes=[
            "Whole dialogues, packed as those that were trained on; all tokens count."
            f" Brackets: {100 * spec.confidence:g}% interval over seeds and blocks.",
        ],
        left=3,
    )


def step(spec: LossTableSpec, job: Job) -> dict[str, Any]:
    """The table of what was measured of each cell."""
    job.write(tabulate([read_rows(path) for path in job.paths("losses")], spec))
    return {}

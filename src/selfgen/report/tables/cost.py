"""What each method cost on the machine it ran on: time, speed and memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from selfgen.report.collect import in_order
from selfgen.report.grid import NOT_RUN, Entry, Grid
from selfgen.report.registry import Drawn, Table, frame
from selfgen.report.spec import TableSpec

if TYPE_CHECKING:
    import pandas

STAGES = ("pass", "train", "answers")
KEY = ("task", "model", "method")
_GERUND = {"pass": "passes", "train": "training", "answers": "answers"}
CSV = (
    *KEY,
    *(f"{stage}_seconds" for stage in STAGES),
    *(f"{stage}_tokens_per_second" for stage in STAGES),
    *("peak_memory_mb", "device", "dtype", "precision"),
)


def cost(frame: pandas.DataFrame) -> pandas.DataFrame:
    """One row a (task, model, method), columns of ``CSV``, in the order of ``frame``.

    Seconds are sums over a stage's parts (the direct and the corrected answers, say)
    and means over seeds; tokens per second are all tokens over all seconds; memory is
    the peak of any stage, in MB. What a method does not have, or was not measured, is
    None.
    """
    import pandas as pd

    lines = []
    for task, model, method in in_order(frame, list(KEY)):
        own = frame[
            (frame["task"] == task)
            & (frame["model"] == model)
            & (frame["method"] == method)
        ]
        stages = [own[own["stage"] == stage] for stage in STAGES]
        lines.append(
            [
                *(task, model, method),
                *(_seconds(stage) for stage in stages),
                *(_speed(stage) for stage in stages),
                _peak(own["peak_memory_mb"]),
                *(_names(own[name]) for name in ("device", "dtype", "precision")),
            ]
        )
    return pd.DataFrame(lines, columns=list(CSV), dtype=object)


def draw(timings: pandas.DataFrame, spec: TableSpec[Any]) -> Drawn:
    """``cost`` of some timings, and what the whole run took."""
    table = cost(timings)
    header = [
        *("Task", "Model", "Method"),
        *(f"{stage.capitalize()} (s)" for stage in STAGES),
        *(f"{stage.capitalize()} (tokens/s)" for stage in STAGES),
        "Peak memory (MB)",
        "Machine",
    ]
    rows = [
        [
            Entry(row["task"]),
            Entry(row["model"]),
            Entry(spec.labels.get(row["method"], row["method"])),
            *(_entry(row[f"{stage}_seconds"]) for stage in STAGES),
            *(_entry(row[f"{stage}_tokens_per_second"]) for stage in STAGES),
            _entry(row["peak_memory_mb"]),
            Entry(f"{row['device']}, {row['dtype']}, {row['precision']}"),
        ]
        for row in table.to_dict("records")
    ]
    made = Grid(
        name="cost",
        title=f"Cost (scale: {spec.scale}).",
        header=[Entry(title) for title in header],
        rows=rows,
        notes=(
            "Seconds: mean of the seeds. A method's parent is not included.",
            _whole_run(timings),
        ),
        left=3,
    )
    return Drawn([made], CSV, [*table.itertuples(index=False)])


def busy_seconds(jobs: pandas.DataFrame) -> float:
    """Wall time in which at least one job ran: the union of their spans. A pause between
    two runs does not count, and jobs side by side count once."""
    total, until = 0.0, float("-inf")
    spans = jobs.assign(ended_at=jobs["started_at"] + jobs["wall_seconds"])
    for start, end in (
        spans[["started_at", "ended_at"]].sort_values("started_at").values
    ):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def _whole_run(timings: pandas.DataFrame) -> str:
    # A pass that methods share has a row with each of them.
    jobs = timings.drop_duplicates(
        ["task", "model", "seed", "stage", "started_at", "wall_seconds"]
    )
    spent = jobs.groupby("stage")["wall_seconds"].sum()
    total = spent.sum()
    shares = ", ".join(
        f"{100 * seconds / total:.0f}% {_GERUND[stage]}"
        for stage, seconds in spent.sort_values(ascending=False).items()
    )
    return (
        f"Whole run: {len(jobs)} jobs that run a model took "
        f"{busy_seconds(jobs) / 60:.0f} minutes of wall time, "
        f"{total / 60:.0f} minutes one after the other: {shares}."
    )


def _seconds(stage: pandas.DataFrame) -> float | None:
    if stage.empty:
        return None
    return float(stage.groupby("seed")["seconds"].sum().mean())


def _speed(stage: pandas.DataFrame) -> float | None:
    if stage.empty or not stage["seconds"].sum():
        return None
    return float(stage["tokens"].sum() / stage["seconds"].sum())


def _peak(values: pandas.Series) -> float | None:
    return float(values.max()) if values.notna().any() else None


def _names(values: pandas.Series) -> str:
    return "/".join(dict.fromkeys(values.astype(str)))


def _entry(value: float | None) -> Entry:
    return Entry(NOT_RUN if value is None else f"{value:.0f}")


TABLE = Table(draw, {"timings": frame})

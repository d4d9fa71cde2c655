"""What each method cost on the machine it ran on: time, speed and memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from selfgen.report.collect import in_order, several
from selfgen.report.grid import NOT_RUN, Grid
from selfgen.report.registry import Drawn, Table, frame
from selfgen.report.spec import TableSpec

if TYPE_CHECKING:
    import pandas

STAGES = {"pass": "passes", "train": "training", "answers": "answers"}
"""Stages of a method, and what they are called in a sentence."""
DRAWN = " What a method draws while it trains is a pass, and not in its seconds of training."
KEY = ("task", "model", "method")
CSV = (
    *KEY,
    *(f"{stage}_seconds" for stage in STAGES),
    *(f"{stage}_tokens_per_second" for stage in STAGES),
    *("peak_memory_mb", "device", "dtype", "precision"),
)


def draw(timings: pandas.DataFrame, spec: TableSpec[Any]) -> Drawn:
    """Seconds, tokens per second and peak memory of each stage on the machine of this run.

    One row a (task, model, method), in the order of ``timings``. Seconds are sums over a
    stage's parts (the direct and the corrected answers, say) and means over seeds; what a
    training draws itself counts as a pass. Tokens per second are all tokens over all seconds;
    memory is the peak of any stage, in MB. What a method does not have, or was not measured,
    is None.
    """
    import pandas as pd

    lines = []
    for key in in_order(timings, list(KEY)):
        own = timings[(timings[list(KEY)] == key).all(axis=1)]
        stages = [own[own["stage"] == stage] for stage in STAGES]
        lines.append(
            [
                *(*key, *map(seconds, stages), *map(_speed, stages)),
                None if (most := own["peak_memory_mb"].max()) != most else float(most),
                *("/".join(map(str, own[name].unique())) for name in CSV[-3:]),
            ]
        )
    # What all rows share is said once.
    many = several(timings["model"])
    machines = [", ".join(line[-3:]) for line in lines]
    one = not several(pd.Series(machines))
    header = [
        *("Task", *["Model"] * many, "Method"),
        *(f"{stage.capitalize()} (s)" for stage in STAGES),
        *(f"{stage.capitalize()} (tokens/s)" for stage in STAGES),
        *("Peak memory (MB)", *["Machine"] * (not one)),
    ]
    rows = [
        [
            *(task, *[model] * many, spec.labels.get(method, method)),
            *(NOT_RUN if x is None else f"{x:.0f}" for x in values[:-3]),
            *[machine] * (not one),
        ]
        for (task, model, method, *values), machine in zip(lines, machines, strict=True)
    ]
    made = Grid(
        name=spec.name,
        title=f"Cost (scale: {spec.scale}).",
        header=header,
        rows=rows,
        notes=(
            "Seconds: median of the seeds. A method's parent is not included."
            + DRAWN * bool(_is_drawn(timings).any()),
            *[f"Machine: {machines[0]}."] * one,
            _whole_run(timings),
        ),
        left=2 + many,
    )
    return Drawn([made], CSV, lines)


def busy_seconds(jobs: pandas.DataFrame, pause: float = 0) -> float:
    """Wall time in which at least one job ran: the union of their spans. Jobs side by side
    count once. A gap counts up to ``pause`` seconds long, as the start of the next job; a
    longer one, such as between two runs, does not."""
    total, until = 0.0, float("-inf")
    spans = jobs.assign(ended_at=jobs["started_at"] + jobs["wall_seconds"])
    for start, end in spans.sort_values("started_at")[
        ["started_at", "ended_at"]
    ].values:
        begun = until if start - until <= pause else start
        total += max(0.0, end - max(begun, until))
        until = max(until, end)
    return total


def _is_drawn(timings: pandas.DataFrame) -> pandas.Series[bool]:
    """Which passes were made by the jobs of their trainings."""
    return (timings["stage"] == "pass") & (timings["wall_seconds"] == 0)


def _whole_run(timings: pandas.DataFrame) -> str:
    # A pass that methods share has a row with each of them; what a training drew is no job.
    jobs = timings[~_is_drawn(timings)].drop_duplicates(
        ["task", "model", "seed", "stage", "started_at", "wall_seconds"]
    )
    spent = jobs.groupby("stage")["wall_seconds"].sum()
    total = spent.sum()
    shares = ", ".join(
        f"{100 * seconds / total:.0f}% {STAGES[stage]}"
        for stage, seconds in spent.sort_values(ascending=False).items()
    )
    return (
        f"Trainings, passes and answers of this table: {len(jobs)} jobs, in"
        f" {busy_seconds(jobs) / 60:.0f} minutes of wall time, {total / 60:.0f} minutes one"
        f" after the other: {shares}."
    )


def seconds(stage: pandas.DataFrame) -> float | None:
    """The seconds of a stage's jobs of one method, the median of the seeds, so that a job
    which waited for other work does not count; None without one."""
    if stage.empty:
        return None
    return float(stage.groupby("seed")["seconds"].sum().median())


def _speed(stage: pandas.DataFrame) -> float | None:
    if stage.empty or not stage["seconds"].sum():
        return None
    return float(stage["tokens"].sum() / stage["seconds"].sum())


TABLE = Table(draw, {"timings": frame})

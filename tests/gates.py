"""Whether the checked tasks can show exposure bias: what was asked of them before any method
was compared, and what the shipped runs found. Drawn by ``python -m tests.shipped``."""

from __future__ import annotations

import csv

import pandas as pd

from selfgen.core import choices
from selfgen.core.rows import read_table
from selfgen.report.grid import Entry, Grid, to_markdown
from tests.shipped import REFERENCE

GATES = {
    "Right answers of SFT, %": (20, 70),
    "Excess of SFT, points": (5, 100),
    "Context that BASH .25 changes, %": (10, 20),
    "Tokens of SFT's answer": (30, 80),
}
"""What was asked for, from and to."""


def table() -> str:
    """Each gate of each checked task in the runs that are shipped, as Markdown."""
    shown = []
    for run in ("evidence", "laptop"):
        for task in ("group", "sort"):
            found = zip(GATES.values(), _found(run, task), strict=True)
            boxes = [
                f"{value:.1f}" if low <= value <= high else f"{value:.1f}, missed"
                for (low, high), value in found
            ]
            shown.append([run, task, *boxes])
    header = [
        Entry(name, below=f"{low} to {high}" if high < 100 else f"{low} or more")
        for name, (low, high) in GATES.items()
    ]
    notes = [
        "Right answers: on validation prompts; all else on test prompts, at the end of SFT,"
        " mean of the seeds."
    ]
    title = "What was asked of the checked tasks, and what was found."
    return to_markdown(
        Grid("gates", title, ["Run", "Task", *header], shown, notes, left=2)
    )


def _found(run: str, task: str) -> list[float]:
    folder = REFERENCE / run
    (path,) = (folder / "tuning" / task).glob("*/baseline.json")
    (sft,) = (p for p in choices.read(path).candidates if p.name == "sft")
    with (folder / "tables" / "steps.csv").open(newline="") as file:
        (steps,) = (
            line
            for line in csv.DictReader(file)
            if (line["task"], line["method"]) == (task, "sft")
        )
    runs = pd.read_csv(folder / "collected" / "runs.csv")
    bash = runs[(runs["task"] == task) & (runs["method"] == "bash")]
    scores = read_table(folder / "collected" / "scores.parquet").to_pandas()
    answers = scores[
        (scores["task"] == task)
        & (scores["method"] == "sft")
        & (scores["decoding"] == "direct")
    ]
    changed = 100 * bash["changed_share"].mean()
    excess = 100 * float(steps["excess"])
    return [100 * sft.mean, excess, changed, answers["tokens"].mean()]

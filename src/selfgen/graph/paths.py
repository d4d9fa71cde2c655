"""Names of all files of a run, each written once: a template with the wildcards of its rule.

A *checkpoint* is a model of a task; that of a pass is its generator. Every file of a step has
its manifest beside it. Downloads are shared by all scales and lie elsewhere.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selfgen.report.spec import Cell

_MODEL = "{task}/{model}/{checkpoint}/seed{seed}"
_DECODED = "{task}/{model}/{checkpoint}/{decoding}/seed{seed}"

RECORDS = "results/records/{task}.parquet"
LEAKAGE = "results/leakage/{task}.json"
"""The report of the guard, and its own manifest."""

BASE = "results/base/{model}"
"""Folder of untouched weights."""

PASSED = "results/passes/{task}/{model}/{checkpoint}/{pass_}/seed{seed}.parquet"
ROWS = f"results/rows/{_MODEL}.parquet"
WEIGHTS = f"results/models/{_MODEL}/weights"
CURVE = f"results/models/{_MODEL}/curve.jsonl"
TRAINED = f"results/models/{_MODEL}/manifest.json"
"""The manifest of weights and curve."""

RATE = "results/tuning/{task}/{model}/{checkpoint}/rate.json"
"""The learning rate that a method is trained at, where there is a choice."""

BASELINE = "results/tuning/{task}/{model}/baseline.json"
"""The method that the others are compared with, where there is a choice."""

VALIDATION = "validation"
"""In the place of a decoding: direct answers on the split that choices are made by."""

ANSWERS = f"results/answers/{_DECODED}.parquet"
SCORES = f"results/scores/{_DECODED}.parquet"
LEAD_1 = "results/scores/{task}/lead-1.parquet"
EXPOSURE = f"results/exposure/{_MODEL}.parquet"
STEPS = f"results/steps/{_MODEL}.parquet"
"""Errors of the steps of answers, by a checker."""

MEASURED = f"results/measured/{_MODEL}.parquet"
"""What the instrument for exposure bias read of a checkpoint; its manifest has the bugs that
it looked for."""

MEASURES = {
    kind: f"results/measured/{{task}}/{{model}}/measure.{kind}"
    for kind in ("html", "md", "json", "tex")
}
"""What it found of all methods, on a page."""

LOSSES = f"results/losses/{_MODEL}.parquet"
"""Of held-out dialogues."""

JUDGMENTS = f"results/judgments/{{comparison}}/{_DECODED}.parquet"
REPLIES = f"results/benchmarks/{{benchmark}}/{_MODEL}/answers.parquet"
"""Answers to the prompts of a benchmark."""

GRADES = f"results/benchmarks/{{benchmark}}/{_MODEL}/grades.parquet"

COLLECTED = {
    "scores": "results/collected/scores.parquet",
    "runs": "results/collected/runs.csv",
    "timings": "results/collected/timings.csv",
    "curves": "results/collected/curves.csv",
}
"""What is collected of all cells, which tables and figures are drawn from."""

MANIFESTS = "results/collected/manifests.json"
"""Those of trainings, passes and answers, or of synthetic runs, in one file."""

TABLES, FIGURES = "results/tables", "results/figures"
TABLE = f"{TABLES}/{{table}}.{{kind}}"
FIGURE = f"{FIGURES}/{{figure}}.{{kind}}"
SAMPLES = f"{TABLES}/samples.md"
ABLATIONS = f"{TABLES}/manifests/ablations.json"
"""The manifest of all tables and figures of synthetic experiments."""

SYNTHETIC = "results/synthetic/{experiment}/seed{seed}/{kind}.parquet"
SYNTHETIC_RUN = "results/synthetic/{experiment}/seed{seed}/manifest.json"
SYNTHETIC_COLLECTED = {
    "scores": "results/collected/scores.parquet",
    "positions": "results/collected/positions.csv",
    "curves": "results/collected/curves.csv",
    "runs": "results/collected/runs.csv",
}


def fill(template: str, **wildcards: Any) -> str:
    """A file of a run."""
    return template.format(**wildcards)


def of_cell(template: str, cell: Cell, **wildcards: Any) -> str:
    """A file of a cell of the tables, whose method is a checkpoint."""
    return template.format(
        task=cell.task,
        model=cell.model,
        checkpoint=cell.method,
        decoding=cell.decoding,
        seed=cell.seed,
        **wildcards,
    )


def bound(template: str, **wildcards: Any) -> str:
    """A template with some of its wildcards filled."""
    for name, value in wildcards.items():
        template = template.replace(f"{{{name}}}", str(value))
    return template


def manifest(path: str) -> str:
    """Where the manifest of a step's file or folder lies, as ``core.manifests`` looks for
    it; of a template, its template."""
    folder, _, name = path.rpartition("/")
    beside = ("weights", PurePath(RATE).name, PurePath(BASELINE).name)
    if name in beside or folder == "results/collected":
        return f"{folder}/manifest.json"
    if folder in (TABLES, FIGURES):
        return f"{folder}/manifests/{name.rpartition('.')[0]}.json"
    return f"{path.removesuffix('.parquet')}.json"


def is_made(path: str) -> bool:
    """Whether a step makes a file, so that it has a manifest."""
    return path.startswith("results/")


def shard(template: str, shards: int) -> str:
    """The template of the parts that a file is gathered from."""
    return template.replace(".parquet", f".shards/{{shard}}of{shards}.parquet")


def log(rule: str, template: str = "") -> str:
    """The log of a rule, by the wildcards in the name of one of its files."""
    parts = template.removeprefix("results/").split("/")[1:]
    while parts and "{" not in parts[-1]:
        parts.pop()
    return f"logs/{'/'.join([rule, *parts]).removesuffix('.parquet')}.log"

"""A built-in data set is one file: nothing else names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import yaml

from selfgen.data.records import read
from tests.flow import REPO, Flow

FILE = "src/selfgen/tasks/two_digits.py"
TASK = '''
"""Sums of two digits, in words of none."""

from selfgen.data.dataset import DataSet, record, split_of


def load(sources, spec):
    """All of them."""
    for a in range(100):
        for b in range(10):
            name = f"sum-{a}-{b}"
            yield record(
                spec.task,
                name,
                f"{a} + {b}",
                f"{a + b}. #### {a + b}",
                split=split_of(name),
                source="counted",
                licence="none",
                answer=str(a + b),
            )


DATASET = DataSet(load, {}, template="Add: {prompt}", metrics=("numbers", "rouge"))
'''


def test_a_data_set_of_one_file(
    bare: Flow, tmp_path: Path, warm: Callable[[Flow], None]
) -> None:
    flow = bare.copy(tmp_path / "clone")
    (flow.root / FILE).write_text(TASK)  # one file

    config = yaml.safe_load((REPO / "tests/workflow/small.yaml").read_text())
    rows = {"train_rows": 8, "validation_rows": 4, "test_rows": 4}
    task = {"dataset": "two-digits", "max_new_tokens": 8, "leakage_limit": 1}
    config["tasks"] = {"sums": task | rows}
    flow.write_config("sums.yaml", config)
    run = ("--configfile", "sums.yaml", "--cores", "1")
    planned = flow.rules(*run)
    assert planned["build_records"] == planned["check_leakage"] == 1
    assert planned["finetune"] == 3 and planned["score_answers"] == 4
    assert "score_lead_1" not in planned and "fetch_wheel" not in planned

    warm(flow)
    done = flow.snakemake(*run, "--", "results/leakage/sums.json")
    assert done.returncode == 0, done.stdout
    records = read(flow.root / "results/records/sums.parquet")
    assert [row["split"] for row in records].count("train") == 16  # for two stages
    row = next(row for row in records if row["split"] == "test")
    a, b = map(int, row["prompt"].split(" + "))
    assert row["answer"] == str(a + b)
    done = flow.snakemake(
        *run, "-n", "-p", "--", "results/rows/sums/tiny/sft/seed0.parquet"
    )
    assert "Add: {prompt}" in done.stdout, "its template reaches the rows"

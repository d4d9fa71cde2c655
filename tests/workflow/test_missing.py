"""Files that are gone: what a plan makes of it, and what ``selfgen check`` says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from selfgen.cli.main import main
from selfgen.graph.files import jobs
from selfgen.graph.workflow import open_workflow
from tests.flow import REPO, Flow

SMALL = ("--configfile", "small.yaml")
MODEL = "results/models/descriptions/tiny/bash/seed0"
PASS = "results/passes/descriptions/tiny/sft/*/seed0"
GONE = {
    "build_records": ["results/records/descriptions.parquet"],
    "prepare_base": ["results/base/tiny", "results/base/tiny.json"],
    "generate_pass": [f"{PASS}.parquet", f"{PASS}.json"],
    "mix_rows": [
        f"results/rows/descriptions/tiny/{x}/seed0.parquet" for x in ("sft", "bash")
    ],
    "finetune": [f"{MODEL}/{x}" for x in ("weights", "curve.jsonl", "manifest.json")],
    "generate_answers": ["results/answers/descriptions/tiny/bash/direct/seed0.json"],
}
"""By rule, files that later results stand on."""

EVERY = [
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in ("gsm8k", "paper", "workstation")
    ),
    *("config", "synthetic"),
]


def remove(flow: Flow, patterns: list[str]) -> list[str]:
    found = [path for pattern in patterns for path in sorted(flow.root.glob(pattern))]
    assert len(found) == len(patterns)
    for path in found:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return sorted(str(path.relative_to(flow.root)) for path in found)


Checked = Callable[..., tuple[int, list[str], str]]


@pytest.fixture
def checked(
    flow: Flow, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Checked:
    """What the verb ends with, prints of files and says of errors."""
    monkeypatch.chdir(flow.root)

    def check(*arguments: str) -> tuple[int, list[str], str]:
        code = main(["check", "small.yaml", *arguments])
        said = capsys.readouterr()
        first = ("models.", "tasks.", "disk:")  # of models, data and disk
        lines = [x for x in said.out.splitlines() if not x.startswith(first)]
        return code, lines, said.err

    return check


def test_nothing_is_missing_of_a_whole_run(checked: Checked) -> None:
    assert checked() == (0, ["nothing is missing"], "")


@pytest.mark.parametrize("rule", GONE)
def test_what_is_missing_behind_results_is_found(
    flow: Flow, checked: Checked, rule: str
) -> None:
    gone = remove(flow, GONE[rule])
    code, (line,), error = checked()
    assert (code, error) == (1, f"error: missing behind results: {len(gone)} files\n")
    assert line.startswith(f"{rule}: {len(gone)} missing ({', '.join(gone)}); ")
    assert "results/collected/manifests.json" in line
    assert line.endswith(
        f"anew: selfgen check small.yaml --files {rule} | xargs -rn 1 selfgen run"
        " small.yaml --"
    )
    assert checked("--files", rule) == (0, gone, "")


@pytest.mark.slow
@pytest.mark.parametrize("rule", GONE)
def test_what_is_missing_behind_results_is_planned_by_nobody(
    flow: Flow, rule: str
) -> None:
    remove(flow, GONE[rule])
    assert flow.rules(*SMALL) == {}


def test_all_kinds_at_once_are_a_line_each(flow: Flow, checked: Checked) -> None:
    for rule, patterns in GONE.items():
        remove(flow, patterns)
        if rule in ("build_records", "mix_rows"):  # alone, then with more
            assert flow.rules(*SMALL) == {}, "nobody plans it"
    assert flow.rules(*SMALL) == {}
    code, lines, _ = checked()
    assert code == 1
    assert [line.partition(":")[0] for line in lines] == sorted(GONE)


def test_a_run_that_lies_elsewhere(
    flow: Flow, checked: Checked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    remove(flow, GONE["mix_rows"])
    shutil.move(flow.root / "small.yaml", tmp_path / "small.yaml")
    monkeypatch.chdir(tmp_path)
    code, (line,), _ = checked("--directory", str(flow.root))
    assert code == 1
    assert line.endswith(f"run small.yaml --directory {flow.root} --")


def test_the_call_that_makes_it_anew_with_files_on_top(flow: Flow) -> None:
    (gone, *_) = remove(flow, GONE["mix_rows"])
    (flow.root / "more.yaml").write_text("scale: ours\n")
    call = [sys.executable, "-m", "selfgen", "run", "small.yaml", "--with", "more.yaml"]
    done = subprocess.run(
        [*call, "--", "-n", gone],
        cwd=flow.root,
        env=os.environ | {"PYTHONPATH": str(flow.root / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "mix_rows" in done.stdout + done.stderr


def test_results_that_are_not_made_yet_are_not_missing(
    flow: Flow, checked: Checked
) -> None:
    """Snakemake misses them by itself."""
    shutil.rmtree(flow.root / "results" / "tables")
    code, (line,), _ = checked()
    assert code == 0
    assert line.startswith("nothing is missing; 1") and "of 30 results" in line
    shutil.rmtree(flow.root / "results")
    assert checked()[1] == ["nothing is missing; 30 of 30 results are to be made"]


def test_a_lost_download_is_not_missing(flow: Flow, checked: Checked) -> None:
    """It is fetched again whenever something must be made of it."""
    shutil.rmtree(flow.root / "resources")
    assert checked() == (0, ["nothing is missing"], "")


def test_what_is_made_anew_to_the_same_bytes_reruns_nothing(
    flow: Flow, warm: Callable[[Flow], None], checked: Checked
) -> None:
    """A file at a time, as the printed command does: in one call all that lies between two of
    them would be made anew."""
    warm(flow)
    for path in remove(flow, GONE["mix_rows"]):
        done = flow.snakemake("--cores", "1", *SMALL, "--", path)
        assert done.returncode == 0, done.stdout
        assert "rule finetune:" not in done.stdout
    assert checked() == (0, ["nothing is missing"], "")
    assert flow.rules(*SMALL) == {}


@pytest.mark.parametrize("name", EVERY)
def test_the_files_of_the_graph_are_those_of_snakemake(bare: Flow, name: str) -> None:
    path = REPO / "config" / f"{name}.yaml"
    workflow = open_workflow(yaml.safe_load(path.read_text()), [path], REPO)
    found = {file for job in jobs(workflow) for file in job.outputs}
    done = bare.snakemake("--summary", "--configfile", f"config/{name}.yaml")
    assert done.returncode == 0, done.stdout
    listed = (line.split("\t")[0] for line in done.stdout.splitlines())
    assert found == {file for file in listed if file.startswith("results/")}


# The leakage guard


def test_a_lost_report_of_the_guard_trains_nothing(flow: Flow) -> None:
    (flow.root / "results/leakage/descriptions.json").unlink()
    assert flow.rules(*SMALL) == {"check_leakage": 1}


def test_another_guard_looks_again_and_trains_nothing(flow: Flow) -> None:
    config = flow.config("small.yaml")
    flow.write_config("small.yaml", config | {"leakage": {"ngram": 12}})
    assert flow.rules(*SMALL) == {"check_leakage": 1}
    flow.replace(
        "src/selfgen/data/leakage.py", '"share": share,', '"share": 1 * share,'
    )
    assert flow.rules(*SMALL) == {"check_leakage": 1}


def strict(flow: Flow) -> None:
    """A guard that lets nothing pass: every prompt shares words with training."""
    config = flow.config("small.yaml")
    config["leakage"] = {"ngram": 1, "share": 0.0}
    config["tasks"]["descriptions"]["leakage_limit"] = 0.0
    flow.write_config("small.yaml", config)


@pytest.mark.slow
def test_another_guard_that_fails_stops_the_run_and_leaves_the_results(
    flow: Flow, warm: Callable[[Flow], None]
) -> None:
    warm(flow)
    strict(flow)
    done = flow.snakemake("--cores", "1", *SMALL)
    assert done.returncode != 0
    assert "of the prompts leak from" in done.stdout
    assert (flow.root / "results/tables/main.md").exists()


@pytest.mark.slow
def test_nothing_is_trained_on_new_records_that_the_guard_refuses(
    flow: Flow, warm: Callable[[Flow], None]
) -> None:
    """Not even where whatever can go on does."""
    warm(flow)
    strict(flow)
    flow.replace("small.yaml", "train_rows: 8", "train_rows: 9")
    done = flow.snakemake("--cores", "2", "--keep-going", *SMALL)
    assert done.returncode != 0
    assert "of the prompts leak from" in done.stdout
    assert "rule finetune:" not in done.stdout and "rule mix_rows:" not in done.stdout
    assert not (flow.root / "results/records/descriptions.parquet").exists()

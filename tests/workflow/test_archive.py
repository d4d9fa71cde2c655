"""`selfgen archive`: a finished run as a crate that its profile's validator accepts, without
the texts it was made of."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from selfgen.cli.main import main
from selfgen.core.rows import read_rows
from selfgen.graph import archive
from selfgen.graph.workflow import open_workflow
from tests.flow import Flow
from tests.standards import ROOT, run

UNKNOWN = {
    # Who ran it and who publishes it stand in no manifest; tools are commands of the package.
    *("process-run-crate-0.5_8.6", "ro-crate-1.1_22.2", "ro-crate-1.1_22.3"),
    *("process-run-crate-0.5_3.2", "process-run-crate-0.5_5.1"),
}
"""What the profile recommends and a run does not record."""


@pytest.fixture(scope="module")
def archived(finished: Flow, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("archive") / "run.zip"
    call = [sys.executable, "-m", "selfgen", "archive", "small.yaml", "--out", str(out)]
    done = subprocess.run(
        call,
        cwd=finished.root,
        env=os.environ | {"PYTHONPATH": str(finished.root / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def unpacked(archived: Path) -> Path:
    folder = archived.parent / "crate"
    with zipfile.ZipFile(archived) as file:
        file.extractall(folder)
    return folder


def _entities(folder: Path) -> dict[str, dict[str, Any]]:
    text = (folder / "ro-crate-metadata.json").read_text(encoding="utf-8")
    return {entity["@id"]: entity for entity in json.loads(text)["@graph"]}


@pytest.mark.needs("standards")
@pytest.mark.slow
def test_the_validator_of_its_profile_accepts_it(archived: Path) -> None:
    script = ROOT / "tests" / "validate_crate.py"
    done = run("python", script, archived, "REQUIRED")
    assert done.returncode == 0, done.stdout
    passed, whole = done.stdout.split(" checks passed")[0].split(" of ")
    assert passed == whole and int(whole) > 80, done.stdout
    found = run("python", script, archived, "RECOMMENDED").stdout.splitlines()
    lacking = [line.split()[1] for line in found if line.startswith("RECOMMENDED")]
    assert {name.removesuffix(":") for name in lacking} <= UNKNOWN, found


def test_every_file_has_its_hash_and_every_job_its_times(unpacked: Path) -> None:
    entities = _entities(unpacked)
    files = {
        p.relative_to(unpacked).as_posix(): p
        for p in unpacked.rglob("*")
        if p.is_file()
    }
    del files["ro-crate-metadata.json"]
    for name, path in files.items():
        assert entities[name]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert {name for name, one in entities.items() if one["@type"] == "File"} | {
        "workflow/Snakefile"
    } == set(files)
    jobs = {
        k: v for k, v in entities.items() if k.startswith("#job/") and "startTime" in v
    }
    lines = (unpacked / "jobs.csv").read_text().splitlines()
    # All that ran but `all` and the download, which have no manifest.
    assert len(jobs) == len(lines) - 1 == 27
    trained = jobs["#job/finetune%20descriptions/tiny/bash/0"]
    told = json.loads(
        (
            unpacked / "results/models/descriptions/tiny/bash/seed0/manifest.json"
        ).read_text()
    )
    made = {one["@id"] for one in trained["result"]}
    weights = "#not-archived/results/models/descriptions/tiny/bash/seed0/weights"
    assert weights in made and entities[weights]["sha256"] == told["outputs"]["weights"]
    rows = entities["#not-archived/results/rows/descriptions/tiny/bash/seed0.parquet"]
    assert rows["sha256"] == told["inputs"]["rows"]
    assert trained["endTime"] > trained["startTime"]


def test_no_text_and_no_weights_are_in_it(finished: Flow, unpacked: Path) -> None:
    records = read_rows(finished.root / "results/records/descriptions.parquet")
    answers = read_rows(
        finished.root / "results/answers/descriptions/tiny/bash/direct/seed0.parquet"
    )
    texts = {row["reference"] for row in records} | {row["text"] for row in answers}
    texts = {text.encode() for text in texts if len(text) > 20}
    assert len(texts) > 10
    for path in unpacked.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(text in content for text in texts), path
            assert path.suffix != ".safetensors"
            assert str(finished.root).encode() not in content, path
    assert "CC BY-SA 4.0" in (unpacked / "README.md").read_text()


def test_the_workflow_in_it_plans_the_run(unpacked: Path) -> None:
    plan = Flow(unpacked).plain(
        "-n", "--configfile", "small.yaml", "--directory", str(unpacked.parent / "anew")
    )
    assert plan.returncode == 0 and "28 jobs would run" in plan.stdout, plan.stdout


def test_functions_of_one_s_own_are_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    raw = yaml.safe_load((ROOT / "tests/workflow/small.yaml").read_text())
    own = {"label": "Own", "mix": "custom", "function": "mine/own.py:rows"}
    raw["methods"]["own"] = own | {"parent": "sft", "stage": "second"}
    code = "def rows(mixing, i, epoch): ..."
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "own.py").write_text(code)
    workflow = open_workflow(raw, [], tmp_path / "site" / "_run")
    archive.put_code(workflow, tmp_path / "crate")
    assert (tmp_path / "crate/mine/own.py").read_text() == code
    assert (tmp_path / "crate/src/selfgen/graph/archive.py").is_file()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            lambda flow: (flow.root / "results/tables/main.md").unlink(),
            "files that a run is for, allowed: a finished run; run the workflow first",
        ),
        (
            lambda flow: flow.replace("small.yaml", "train_rows: 8", "train_rows: 7"),
            "found another spec than today's, allowed: a finished run",
        ),
        (
            lambda flow: (
                flow.root / "results/rows/descriptions/tiny/sft/seed0.json"
            ).unlink(),
            "No such file or directory",
        ),
    ],
)
def test_an_unfinished_run_is_refused_in_one_line(
    flow: Flow,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    spoil: Any,
    said: str,
) -> None:
    spoil(flow)
    monkeypatch.chdir(flow.root)
    assert main(["archive", "small.yaml"]) == 1
    error = capsys.readouterr().err.strip()
    assert said in error and "\n" not in error
    assert not list(flow.root.glob("*archive*"))

"""`selfgen export`: what a run made, for others, with a card."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
import yaml

from selfgen.cli.main import main
from selfgen.core.rows import read_rows
from selfgen.models import loading
from tests.flow import Flow
from tests.hub_server import serve

RUN = Path("results")
ADDRESS = "descriptions/tiny"


@pytest.fixture
def export(
    flow: Flow, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """The verb; what it ends with and says of errors."""

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.chdir(flow.root)
        what, *rest = arguments
        code = main(["export", what, "small.yaml", *rest])
        return code, capsys.readouterr().err.strip()

    return run


def card(folder: Path) -> tuple[dict[str, Any], str]:
    _, head, body = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(head), body


def test_rows_and_drafts_are_a_dataset(flow: Flow, export: Any) -> None:
    for what, source in (
        ("rows", RUN / "rows" / ADDRESS / "bash" / "seed0.parquet"),
        (
            "drafts",
            next((flow.root / RUN / "passes" / ADDRESS).glob("sft/*/seed0.parquet")),
        ),
    ):
        assert export(what, "--method", "bash", "--out", what)[0] == 0
        out = flow.root / what
        made = datasets.load_dataset(str(out), cache_dir=str(flow.root / "cache"))[
            "train"
        ]
        wanted = read_rows(flow.root / source)
        assert [{k: row[k] for k in wanted[0]} for row in made] == wanted
        records = {
            r["id"]: r
            for r in read_rows(flow.root / RUN / "records/descriptions.parquet")
        }
        for row in made:
            record = records[row["id"]]
            assert (row["prompt"], row["reference"]) == (
                record["prompt"],
                record["reference"],
            )
        head, body = card(out)
        assert head["tags"] == ["selfgen", "bash"]
        assert "Chain: bash from sft from base; seed 0." in body
        (rights,) = {(r["source"], r["licence"]) for r in records.values()}
        assert f"- Data: {rights[0]}; licence: {rights[1]}." in body
        assert str(flow.root) not in body


@pytest.mark.slow
@pytest.mark.parametrize(("what", "kind"), [("rows", "dataset"), ("model", "model")])
def test_the_user_s_own_command_pushes_it_to_a_hub(
    export: Any, flow: Flow, tmp_path: Path, what: str, kind: str
) -> None:
    """``hf upload`` with the user's token; what is there then is what was exported."""
    assert export(what, "--method", "bash", "--out", "mine")[0] == 0
    with serve(tmp_path / "hub") as hub:
        hub.uploads = "hf_mine"
        hf = Path(sys.executable).parent / "hf"
        of_kind = ["--repo-type", "dataset"] if kind == "dataset" else []
        call = [hf, "upload", "me/bash-rows", "mine", *of_kind]
        # Without the hub's own protocol for large files, which the server does not speak.
        where = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}
        where |= {"HF_HUB_DISABLE_XET": "1"}
        done = subprocess.run(
            call,
            cwd=flow.root,
            env=os.environ | where | {"HF_TOKEN": hub.uploads, "HF_HUB_OFFLINE": "0"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        pushed = hub.files(kind, "me/bash-rows")
    out = flow.root / "mine"
    wanted = {p.relative_to(out).as_posix(): p for p in out.rglob("*") if p.is_file()}
    assert {name: path.read_bytes() for name, path in pushed.items()} == {
        name: path.read_bytes() for name, path in wanted.items()
    }
    assert bool(hub.sent) == (what == "model")  # whose weights come apart


def test_a_model_is_loaded_by_transformers(flow: Flow, export: Any) -> None:
    assert export("model", "--method", "bash", "--out", "mine") == (0, "")
    weights = flow.root / RUN / "models" / ADDRESS / "bash/seed0/weights"
    mine, theirs = (loading.load(x).state_dict() for x in (flow.root / "mine", weights))
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    head, body = card(flow.root / "mine")
    assert head["library_name"] == "transformers"
    lines = [line for line in body.splitlines() if line.startswith("| test | rougeL |")]
    (row,) = [
        line.split(",")
        for line in (flow.root / RUN / "tables/main.csv").read_text().splitlines()
        if ",rougeL,tiny,bash,direct," in line
    ]
    assert [f"{100 * float(row[9]):.1f}" in line for line in lines] == [True]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("rows", "--method", "bahs"),
            "--method: found 'bahs', allowed: sft, sft-conti",
        ),
        (
            ("rows", "--method", "base"),
            "--method: found 'base', allowed: sft, sft-conti",
        ),
        (
            ("drafts", "--method", "sft"),
            "reads no self-generated tokens, allowed: bash",
        ),
        (("rows", "--method", "sft", "--seed", "3"), "--seed: found '3', allowed: 0"),
        (
            ("rows", "--method", "sft", "--task", "t"),
            "--task: found 't', allowed: descr",
        ),
        (
            ("rows", "--method", "sft", "--model", "m"),
            "--model: found 'm', allowed: tin",
        ),
    ],
)
def test_what_is_not_there_is_said(
    flow: Flow, export: Any, arguments: tuple[str, ...], said: str
) -> None:
    code, error = export(*arguments, "--out", "new")
    assert code == 1 and said in error and "\n" not in error
    assert not (flow.root / "new").exists()


def test_nothing_that_was_changed_is_passed_on(flow: Flow, export: Any) -> None:
    path = flow.root / RUN / "rows" / ADDRESS / "bash" / "seed0.parquet"
    path.write_bytes((path.parent.parent / "sft" / "seed0.parquet").read_bytes())
    code, error = export("rows", "--method", "bash", "--out", "new")
    assert code == 1 and "changed since mix_rows made it" in error
    (flow.root / "old").mkdir()
    code, error = export("rows", "--method", "sft", "--out", "old")
    assert (
        code == 1 and "--out: found old, allowed: a folder that is not there" in error
    )

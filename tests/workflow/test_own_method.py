"""docs/own-method.md, done: its function and its entry in a real run."""

from __future__ import annotations

import json
import re
import subprocess
import sysconfig
import tomllib
import venv
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from selfgen.core.errors import UserError
from selfgen.graph.workflow import open_workflow
from tests.flow import REPO, Flow

PAGE = (REPO / "docs" / "own-method.md").read_text(encoding="utf-8")


def block(kind: str, holding: str = "") -> str:
    """The first block of the page, of those that hold some text."""
    blocks = re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return next(text for text in blocks if holding in text)


def rows(flow: Flow, node: str) -> list[dict[str, list[int]]]:
    import pyarrow.parquet

    path = flow.root / f"results/rows/descriptions/tiny/{node}/seed0.parquet"
    return pyarrow.parquet.read_table(path).to_pylist()


@pytest.mark.slow
def test_the_example_of_the_page(flow: Flow, warm: Callable[[Flow], None]) -> None:
    warm(flow)
    file = flow.root / "methods" / "swapped.py"
    file.parent.mkdir()
    file.write_text(block("python"))
    (flow.root / "more.yaml").write_text(block("yaml"))
    run = ("--configfile", "small.yaml", "more.yaml", "--cores", "2")
    planned = flow.rules(*run)
    assert planned.pop("mix_rows") == planned.pop("finetune") == 1
    assert planned.pop("generate_answers") == planned.pop("score_answers") == 1
    drawn = {"tabulate", "plot", "render_samples"}
    assert set(planned) == {"collect_results"} | drawn
    done = flow.snakemake(*run)
    assert done.returncode == 0, done.stdout

    table = (flow.root / "results/tables/main.csv").read_text()
    assert ",swapped,direct," in table
    changed = 0
    plain = rows(flow, "sft-continued")
    for a, b in zip(plain, rows(flow, "swapped"), strict=True):
        assert a["labels"] == b["labels"]
        assert sorted(a["input_ids"]) == sorted(b["input_ids"])
        changed += a["input_ids"] != b["input_ids"]
    assert changed > len(plain) / 2

    text = file.read_text()
    file.write_text(text + "\n# a remark\n")
    assert flow.rules(*run) == {}
    file.write_text(text.replace("< 0.5", "< 0.25"))
    assert flow.rules(*run)["mix_rows"] == 1


@pytest.mark.slow
def test_a_loss_of_ones_own(flow: Flow, warm: Callable[[Flow], None]) -> None:
    warm(flow)
    loss = flow.root / "methods" / "unlikely.py"
    loss.parent.mkdir()
    loss.write_text(block("python", "def unlikely"))
    loss.with_name("mixed.py").write_text(block("python", "def mixed"))
    (flow.root / "more.yaml").write_text(block("yaml", "loss_function"))
    trained = "results/models/descriptions/tiny/unlikely/seed0"
    run = ("--configfile", "small.yaml", "more.yaml", "--cores", "2")
    done = flow.snakemake(*run, f"{trained}/curve.jsonl")
    assert done.returncode == 0, done.stdout
    curve = (flow.root / trained / "curve.jsonl").read_text().splitlines()
    points = [json.loads(line) for line in curve]
    assert all(point["own_loss"] > point["loss"] for point in points)

    loss.write_text(loss.read_text().replace("0.999", "0.99"))
    planned = flow.rules(*run, f"{trained}/curve.jsonl")
    assert set(planned) == {"finetune"}
    loss.write_text("def unlikely(:\n")
    said = flow.snakemake("-n", *run).stdout
    assert "methods.unlikely.loss_function: methods/unlikely.py, line 1: " in said


@pytest.mark.slow
def test_a_method_of_a_package(flow: Flow, tmp_path: Path) -> None:
    """In an environment of its own, which sees this one's packages too."""
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    (site,) = (tmp_path / "venv" / "lib").glob("*/site-packages")
    # With the packages that are installed there for editing, too.
    others = sysconfig.get_path("purelib")
    (site / "others.pth").write_text(f"import site; site.addsitedir({others!r})\n")
    code = block("python", "class Swapped(")
    (site / "my_methods.py").write_text(code)
    told = site / "my_methods-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: my-methods\n")
    points = tomllib.loads(block("toml"))["project"]["entry-points"]
    assert points == {"selfgen.methods": {"swapped": "my_methods:Swapped"}}

    def brings(name: str) -> None:
        entry = f"[selfgen.methods]\n{name} = my_methods:Swapped\n"
        (told / "entry_points.txt").write_text(entry)

    own = {"label": "Swapped", "mix": "swapped", "parent": "sft", "stage": "second"}
    (flow.root / "more.yaml").write_text(yaml.safe_dump({"methods": {"swapped": own}}))
    target = "results/rows/descriptions/tiny/swapped/seed0.parquet"

    def said(*more: str) -> str:
        call = [str(python), "-m", "snakemake", "-p", "--cores", "2", target, *more]
        configs = ["--configfile", "small.yaml", "more.yaml"]
        done = subprocess.run(
            [*call, *configs],
            cwd=flow.root,
            env={"PATH": "/usr/bin:/bin"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.stdout

    brings("swapped")
    assert "(100%) done" in said()
    changed = [row for row in rows(flow, "swapped") if -100 in row["labels"]]
    answers = [[t for t in row["labels"] if t != -100] for row in changed]
    assert any(
        row["input_ids"][-len(answer) :] != answer
        for row, answer in zip(changed, answers, strict=True)
    )
    assert "Nothing to be done" in said("-n")
    (site / "my_methods.py").write_text(code.replace("< self.share", "> self.share"))
    assert "rule mix_rows" in said("-n")

    brings("bash")
    assert "bash = my_methods:Swapped: found a name that is taken" in said("-n")
    brings("other")
    assert "other: found Swapped with another mix" in said("-n")
    (told / "entry_points.txt").unlink()
    assert "methods.swapped.mix: found 'swapped', allowed: bash" in said("-n")


def test_a_function_that_is_not_there(flow: Flow, tmp_path: Path) -> None:
    more = yaml.safe_load(block("yaml"))
    (flow.root / "more.yaml").write_text(yaml.safe_dump(more))
    done = flow.snakemake("-n", "--configfile", "small.yaml", "more.yaml")
    assert done.returncode != 0
    assert "methods.swapped.function: found no file methods/swapped.py" in done.stdout


def test_without_a_checkout_it_lies_in_the_folder_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installed package has its workflow in a folder that nobody writes to."""
    monkeypatch.chdir(tmp_path)
    raw = yaml.safe_load((REPO / "tests/workflow/small.yaml").read_text())
    own = {"label": "Own", "mix": "custom", "function": "own.py:rows"}
    raw["methods"]["own"] = own | {"parent": "sft", "stage": "second"}
    installed = tmp_path / "site" / "_run"
    with pytest.raises(
        UserError, match=r"methods\.own\.function: found no file own\.py"
    ):
        open_workflow(raw, [], installed)
    (tmp_path / "own.py").write_text("def rows(mixing, i, epoch): ...")
    assert open_workflow(raw, [], installed).folders["root"] == "."

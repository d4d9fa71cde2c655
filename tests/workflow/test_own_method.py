"""docs/own-method.md, done: its function and its entry in a real run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from selfgen.core.errors import UserError
from selfgen.graph.workflow import open_workflow
from tests.flow import REPO, Flow

PAGE = (REPO / "docs" / "own-method.md").read_text(encoding="utf-8")


def block(kind: str) -> str:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[0]


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

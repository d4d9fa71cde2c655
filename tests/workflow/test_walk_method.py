"""A built-in method is one file: docs/own-method.md, done."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet
import yaml

from tests.flow import REPO, Flow

FILE = "src/selfgen/methods/swapped.py"
PAGE = (REPO / "docs" / "own-method.md").read_text(encoding="utf-8")
METHOD = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[-1]


def tracked(root: Path) -> dict[Path, bytes]:
    """The files of the package, the workflow and the shipped configurations."""
    folders = ("src", "workflow", "config")
    found = (path for folder in folders for path in (root / folder).rglob("*"))
    return {
        path: path.read_bytes()
        for path in found
        if path.suffix != ".pyc" and path.is_file()
    }


def test_a_method_of_one_file(
    bare: Flow, tmp_path: Path, warm: Callable[[Flow], None]
) -> None:
    flow = bare.copy(tmp_path / "clone")
    before = tracked(flow.root)
    (flow.root / FILE).write_text(METHOD)  # one file
    after = tracked(flow.root)
    touched = {path for path, text in after.items() if before.get(path) != text}
    assert touched == {flow.root / FILE} and before.keys() <= after.keys()

    config = yaml.safe_load((REPO / "tests/workflow/small.yaml").read_text())
    method = {"label": "Swapped", "mix": "swapped", "parent": "base", "stage": "sft"}
    config["methods"] |= {
        "swapped": method,
        "never": method | {"label": "Never", "share": 0.0},
        "plainly": method | {"label": "Plainly", "mix": "plain"},
    }
    flow.write_config("swapped.yaml", config)
    run = ("--configfile", "swapped.yaml", "--cores", "1")
    planned = flow.rules(*run)
    assert planned["mix_rows"] == planned["finetune"] == 3 + 3
    assert planned["generate_pass"] == 1, "that of bash"

    warm(flow)
    paths = {
        name: f"results/rows/descriptions/tiny/{name}/seed0.parquet"
        for name in ("swapped", "never", "plainly")
    }
    done = flow.snakemake(*run, "--", *paths.values())
    assert done.returncode == 0, done.stdout
    rows = {
        name: pyarrow.parquet.read_table(flow.root / path).to_pylist()
        for name, path in paths.items()
    }
    assert rows["never"] == rows["plainly"] != rows["swapped"]
    for a, b in zip(rows["plainly"], rows["swapped"], strict=True):
        assert a["labels"] == b["labels"]
        assert sorted(a["input_ids"]) == sorted(b["input_ids"])

    code = "from selfgen.config.manual import manual; print(manual())"
    manual = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(flow.root / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "`mix: swapped`" in manual.stdout

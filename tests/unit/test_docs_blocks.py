"""The commands and code of docs/your-data.md and docs/trainers.md, run as they stand."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.tiny import tiny

import selfgen
from selfgen.cli.main import main
from selfgen.config import Config, checked
from selfgen.data.prompts import load_tokenizer
from selfgen.models import loading

DOCS = Path(__file__).parents[2] / "docs"


def block(page: str, kind: str) -> str:
    text = (DOCS / page).read_text(encoding="utf-8")
    (found,) = re.findall(rf"^```{kind}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("here")
    tiny(out / "my-model")
    names = [f"{a}{b}{c}" for a in "bcdf" for b in "aeio" for c in "klmnprst"]
    with (out / "tickets.jsonl").open("w") as file:
        for one, other in zip(names * 3, names[1:] * 3 + names[:3], strict=False):
            row = {"question": f"Is {one} {other}?", "answer": f"{other}, {one}."}
            file.write(json.dumps(row) + "\n")
    return out


def test_the_commands_of_your_data(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`run` is the walk of tests/e2e/test_walk_own_data.py, which types the same."""
    lines = [
        shlex.split(x, comments=True) for x in block("your-data.md", "sh").splitlines()
    ]
    assert [line[:2] for line in lines] == [
        ["selfgen", x] for x in ("new", "check", "run")
    ]
    for _, *arguments in lines[:2]:
        monkeypatch.chdir(folder)
        assert main(arguments) == 0
    assert (folder / "tickets" / "config.yaml").is_file()


def test_the_code_of_trainers(folder: Path) -> None:
    made: dict[str, Any] = {
        "model": loading.load(folder / "my-model"),
        "tokenizer": load_tokenizer(folder / "my-model"),
        "data": [{"prompt": f"Say {n}.", "completion": f"So: {n}."} for n in range(6)],
    }
    exec(block("trainers.md", "python"), made)
    text = (DOCS / "trainers.md").read_text(encoding="utf-8")
    columns = re.findall(r"^\| (`[^|]+`) \|", text, re.MULTILINE)
    named = {name for cell in columns for name in re.findall(r"`(\w+)`", cell)}
    assert set(made["rows"].column_names) == named == set(made["control"].column_names)
    assert set(made["corrections"].column_names) == named - {"changed"}
    assert set(made["plain"].column_names) == named - {"changed"}
    for name in ("FreshRows", "OnlineCollator", "Columns"):
        assert f"selfgen.{name}" in text and hasattr(selfgen, name)
    assert set(selfgen.__all__) <= set(dir(selfgen))
    with pytest.raises(AttributeError, match="no attribute 'bash_row'"):
        _ = selfgen.bash_row


@pytest.mark.slow
def test_the_page_of_measures(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its command and its code find the same; its key is one of the configuration."""
    (tmp_path / "my-model").symlink_to(folder / "my-model")
    lines = dict.fromkeys((folder / "tickets.jsonl").read_text().splitlines(True))
    (tmp_path / "tickets.jsonl").write_text("".join([*lines][:80]))
    monkeypatch.chdir(tmp_path)
    command, *arguments = shlex.split(block("measure.md", "sh"))
    assert command == "selfgen"
    assert main(arguments) == 0
    page = json.loads(Path("measure/measure.json").read_text())
    said = {line["measure"]: line["value"] for line in page["measures"]}
    Path("measure").rename("command")
    made: dict[str, Any] = {}
    exec(block("measure.md", "python"), made)
    numbers = made["numbers"].set_index("measure").value
    assert dict(numbers) == pytest.approx(said)
    assert made["page"] == Path("measure/measure.html") and made["page"].is_file()
    keys = yaml.safe_load(block("measure.md", "yaml"))
    raw = yaml.safe_load((DOCS.parent / "tests/workflow/small.yaml").read_text())
    config = checked(Config, raw | keys)
    assert config.evaluation.measure and config.evaluation.measure.prompts == 64


def test_the_page_of_the_library_has_every_name() -> None:
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## `(\w+)`$", text, re.MULTILINE)
    assert headings == selfgen.__all__
    assert "    beta: float = 0.25,\n" in text and " at 0x" not in text
    assert "- `max_prompt_tokens`, `max_answer_tokens`: longer prompts" in text

"""`selfgen new`, `check` and `run` on files of one's own."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from selfgen import config
from selfgen.cli.main import main
from selfgen.core.errors import UserError
from selfgen.data.columns import Columns
from selfgen.data.look import Lengths, Look, guess, look
from selfgen.graph.starter import Speed, Start, sized
from tests.hub_server import serve
from tests.tiny import tiny

WORDS = [
    "red",
    "blue",
    "green",
    "stone",
    "river",
    "cloud",
    "lamp",
    "door",
    "table",
    "chair",
    "horse",
    "train",
    "plane",
    "forest",
    "valley",
    "mountain",
    "sea",
    "lake",
    "house",
    "garden",
    "window",
    "bottle",
    "paper",
    "pencil",
    "music",
    "garlic",
    "butter",
    "silver",
]


def rows(count: int = 400) -> list[dict[str, Any]]:
    stream = random.Random(0)
    made = {}
    while len(made) < count:
        a, b, c = stream.sample(WORDS, 3)
        question = f"What have a {a}, a {b} and a {c} in common?"
        made[question] = {"question": question, "answer": f"A {a} is like a {b}."}
    return list(made.values())


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, made: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in made))
    return path


def test_a_configuration_is_written_and_is_sound(
    here: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(here / "My tickets.jsonl", [*rows(), rows()[0], {"question": "What?"}])
    assert main(["new", "My tickets.jsonl", str(model), "--minutes", "10"]) == 0
    assert (
        "next: selfgen check my-tickets; selfgen run my-tickets"
        in capsys.readouterr().out
    )
    path = here / "my-tickets" / "config.yaml"
    raw = yaml.safe_load(path.read_text())
    task = raw["tasks"]["my-tickets"]
    assert task["files"] == "../My tickets.jsonl" and task["bad_rows"] == "skip"
    assert (task["prompt"], task["reference"]) == ("question", "answer")
    assert list(raw["methods"]) == [
        "base",
        "sft",
        "sft-continued",
        "bash",
        "random",
        "rac",
    ]
    assert 0.1 <= raw["methods"]["bash"]["beta"] <= 0.75
    text = path.read_text()
    assert (
        "# Found: 400 rows (" in text
        and "line 401 says the same as another row" in text
    )
    config.load(raw)

    assert main(["check", "my-tickets"]) == 0
    said = capsys.readouterr().out
    assert "models.base: 259 tokens; a turn ends with <|im_end|>" in said
    assert "tasks.my-tickets: 400 rows: " in said
    assert "prompts that leak from training: validation 0.0%, test 0.0%" in said
    assert "are cut), answers of" in said and "disk: about" in said
    os.chdir(here)
    assert main(["new", "My tickets.jsonl", str(model)]) == 1
    assert "stands already; name another folder by --out" in capsys.readouterr().err


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "more rows": ({"test_rows": 300}, "split test of file has"),
    "answers": ({"max_new_tokens": 8}, "max_new_tokens: found 8, which cuts 100% of"),
    "columns": ({"prompt": "qestion"}, "no row is a record: .*nearest: question"),
    "bad rows": ({"bad_rows": "refuse"}, "1 rows are no records: .*bad_rows: skip"),
    "leak": ({"files": "leak.jsonl"}, "of the prompts leak from train"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_would_be_wrong_is_said_before(
    here: Path, model: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    made = rows()
    write(here / "rows.jsonl", [*made, made[0]])
    write(
        here / "leak.jsonl", [row | {"question": f"{n}?"} for n, row in enumerate(made)]
    )
    change, said = CASES[name]
    task = {
        "dataset": "file",
        "files": "rows.jsonl",
        "prompt": "question",
        "reference": "answer",
        "source": "us",
        "licence": "none",
        "bad_rows": "skip",
        "train_rows": 64,
        "validation_rows": 4,
        "test_rows": 16,
        "max_prompt_tokens": 128,
        "max_new_tokens": 64,
    }
    raw = {
        "scale": "own",
        "models": {"tiny": {"kind": "local", "path": str(model)}},
        "tasks": {"t": task | change},
        "stages": {"sft": {"learning_rate": 1e-3}},
        "methods": {
            "base": {"label": "Base", "mix": "none"},
            "sft": {"label": "S", "mix": "plain", "parent": "base", "stage": "sft"},
        },
        "evaluation": {"baseline": "sft"},
    }
    Path("config.yaml").write_text(yaml.safe_dump(raw))
    assert main(["check", "."]) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert re.search(said, error), error


def test_columns_are_guessed(tmp_path: Path) -> None:
    for row, columns in (
        ({"prompt": "a", "completion": "b"}, Columns("prompt", "completion")),
        (
            {"instruction": "a", "input": "", "output": "b"},
            Columns("{instruction}\n\n{input}", "output"),
        ),
        ({"document": "a", "summary": "b"}, Columns("document", "summary")),
        ({"Question": "a", "Answer": "b"}, Columns("Question", "Answer")),
        ({"messages": [], "id": 1}, Columns(messages="messages")),
    ):
        assert guess(write(tmp_path / "rows.jsonl", [row])) == columns
    with pytest.raises(UserError, match="found the columns a, b; say which are asked"):
        guess(write(tmp_path / "rows.jsonl", [{"a": "x", "b": "y"}]))


def test_what_is_in_a_file_is_counted(tmp_path: Path) -> None:
    made = [
        *rows(60),
        {"question": "Say yes.", "answer": "yes"},
        {"question": "Say yes.", "answer": "no"},
    ]
    path = write(tmp_path / "rows.jsonl", made)
    found = look({"train": [path]}, Columns("question", "answer"))
    assert (found.rows, found.several, found.inside) == (62, 1, 1)
    assert found.splits == {"train": 62} and len(found.sample) == 62
    split = look({"all": [path]}, Columns("question", "answer")).splits
    assert sum(split.values()) == 62 and set(split) <= {"train", "validation", "test"}


def start(train: int, test: int, **more: Any) -> Start:
    splits = Counter(train=train, validation=40, test=test)
    lengths = Lengths([20] * 9 + [90], [10] * 9 + [50])
    given = {"changed": 0.1, "beta_measured": 0.25, "parameters": 10**8} | more
    return Start(
        name="t",
        files={"all": ["t.csv"]},
        columns=Columns("q", "a"),
        model={"kind": "local", "path": "m"},
        look=Look(rows=train + test + 40, splits=splits),
        lengths=lengths,
        **given,
    )


def test_sizes_fit_the_time() -> None:
    """A tenth of the speed is about a tenth of the rows; all rows where there is time."""
    fast, slow = Speed(3000.0, 300.0, 1.0), Speed(300.0, 30.0, 1.0)
    sizes = []
    for speed in (fast, slow):
        raw, minutes = sized(start(20_000, 2_000), speed, 30)
        assert 24 <= minutes <= 30
        sizes.append(raw["tasks"]["t"]["train_rows"])
    assert sizes[0] > 5 * sizes[1]
    raw, minutes = sized(start(400, 40), fast, 600)
    assert raw["tasks"]["t"]["train_rows"] == 200 and minutes < 60
    assert raw["tasks"]["t"]["test_rows"] == 40
    with pytest.raises(UserError, match="at least 32 and 16"):
        sized(start(30, 40), fast, 30)


@pytest.mark.parametrize(
    ("changed", "beta"), [(0.25, 0.15), (0.12, 0.31), (0.01, 0.75), (0.9, 0.1)]
)
def test_beta_has_a_dose(changed: float, beta: float) -> None:
    """By hand: .25 * .15 / .12 = .3125; never outside .1 to .75."""
    assert start(400, 40, changed=changed).beta == pytest.approx(beta, abs=0.006)


def test_large_models_are_trained_with_care() -> None:
    assert start(400, 40).rate == 1e-4
    assert start(400, 40, parameters=7 * 10**9).rate == 2e-5
    adapted = start(400, 40, lora={"rank": 16, "alpha": 32})
    raw, _ = sized(adapted, Speed(1e4, 1e4, 0.1), 60)
    assert raw["stages"]["second"]["lora"] == {"rank": 16, "alpha": 32}
    assert raw["stages"]["sft"]["learning_rate"] == 2e-4


def test_a_model_of_a_hub_is_fetched_and_pinned(tmp_path: Path, model: Path) -> None:
    """A branch becomes the commit that it is now, and nothing is fetched twice."""
    shutil.copytree(model, tmp_path / "served/models/lab/tiny")
    write(tmp_path / "rows.jsonl", rows())
    ours = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "selfgen", *arguments]
        return subprocess.run(
            command,
            cwd=tmp_path,
            env=ours | environment,
            capture_output=True,
            text=True,
        )

    with serve(tmp_path / "served") as hub:
        hub.aliases.add("main")
        online = {
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(tmp_path / "home"),
            "SELFGEN_RESOURCES": str(tmp_path / "resources"),
        }
        done = run("new", "rows.jsonl", "lab/tiny", "--minutes", "9", **online)
        assert done.returncode == 0, done.stderr
        raw = yaml.safe_load((tmp_path / "rows/config.yaml").read_text())
        commit = hub.commit("model", "lab/tiny")
        section = {"kind": "hub", "repo": "lab/tiny", "revision": commit}
        assert raw["models"] == {"base": section}
        fetched = len(hub.seen)
        done = run("check", "rows", **online)
        assert done.returncode == 0, done.stderr
        assert "models.base: LlamaForCausalLM, read flat" in done.stdout
        assert len(hub.seen) == fetched
        done = run("new", "rows.jsonl", "lab/none", "--out", "other", **online)
        assert done.returncode == 1 and "lab/none" in done.stderr.splitlines()[-1]
    done = run("new", "rows.jsonl", "nowhere", "--out", "other")
    assert "model: found no folder nowhere, allowed: one, or owner/name" in done.stderr
    assert not (tmp_path / "other").exists()

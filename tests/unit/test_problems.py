"""GSM8K and MATH as records, from small files in the schemas of the real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfgen.core.errors import UserError
from selfgen.data.dataset import RecordsSpec
from selfgen.evaluation.metrics import latex, numbers
from selfgen.evaluation.scores import ScoresSpec, score
from selfgen.tasks.build import build


def written(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def gsm8k(tmp_path: Path) -> dict[str, Path]:
    def rows(first: int, n: int) -> list[dict[str, str]]:
        return [
            {
                "question": f"What is {i} times 1000?",
                "answer": f"It is {i}*1000 = <<{i}*1000={i}000>>{i},000.\n#### {i},000",
            }
            for i in range(first, first + n)
        ]

    return {
        "gsm8k-train": written(tmp_path / "train.jsonl", rows(1, 20)),
        "gsm8k-test": written(tmp_path / "test.jsonl", rows(100, 5)),
    }


@pytest.fixture
def hendrycks(tmp_path: Path) -> dict[str, Path]:
    """Of the test split one problem is in each file, as in openai/prm800k."""

    def row(name: str, answer: str) -> dict[str, str | int]:
        return {
            "problem": f"Find {name}.",
            "solution": f"We see $\\boxed{{{answer}}}$.",
            "answer": answer,
            "subject": "Algebra",
            "level": 3,
            "unique_id": name,
        }

    main = [
        row("train/algebra/1.json", "2"),
        row("test/algebra/3.json", r"\frac{1}{2}"),
        row("train/algebra/2.json", "3"),
    ]
    return {
        "math-main": written(tmp_path / "main.jsonl", main),
        "math-500": written(
            tmp_path / "500.jsonl", [row("test/algebra/4.json", "x^2")]
        ),
    }


def spec(dataset: str, train: int, validation: int, test: int) -> RecordsSpec:
    rows = {"train": train, "validation": validation, "test": test}
    return RecordsSpec("math", dataset, rows)


def test_gsm8k(gsm8k: dict[str, Path]) -> None:
    rows = build(spec("gsm8k", 16, 4, 5), gsm8k)[0].to_list()
    by_split = {
        split: {row["prompt"] for row in rows if row["split"] == split}
        for split in ("train", "validation", "test")
    }
    assert [len(found) for found in by_split.values()] == [16, 4, 5]
    assert len(by_split["train"] | by_split["validation"]) == 20
    row = next(row for row in rows if row["prompt"] == "What is 7 times 1000?")
    assert row["reference"] == "It is 7*1000 = 7,000.\n#### 7,000"
    assert row["answer"] == "7000" and row["licence"] == "MIT"
    for row in rows:
        assert numbers.strict(row["reference"], row["answer"])


def test_all_of_gsm8k_may_be_trained_on(gsm8k: dict[str, Path]) -> None:
    rows = build(spec("gsm8k", 20, 0, 5), gsm8k)[0].to_list()
    assert [row["split"] for row in rows] == ["train"] * 20 + ["test"] * 5
    with pytest.raises(UserError, match=r"split train of gsm8k has 19 rows, asked 20"):
        build(spec("gsm8k", 20, 1, 5), gsm8k)


def test_math(hendrycks: dict[str, Path]) -> None:
    rows = build(spec("hendrycks-math", 2, 0, 2), hendrycks)[0].to_list()
    found = {row["id"]: row for row in rows}
    assert {name: row["split"] for name, row in found.items()} == {
        "math-train/algebra/1": "train",
        "math-train/algebra/2": "train",
        "math-test/algebra/3": "test",
        "math-test/algebra/4": "test",
    }
    half = found["math-test/algebra/3"]
    assert half["answer"] == r"\frac{1}{2}" and half["kind"] == "Algebra"
    assert latex.strict(half["reference"], half["answer"])


def test_math_is_graded_as_latex(hendrycks: dict[str, Path]) -> None:
    rows = build(spec("hendrycks-math", 2, 0, 2), hendrycks)[0].to_list()
    said = {
        "math-test/algebra/3": r"It is 0.5, or $\frac12$.",
        "math-test/algebra/4": "",
    }
    answers = [
        {"id": name, "text": text, "tokens": 3, "ended": True}
        for name, text in said.items()
    ]
    frame = score(rows, answers, ScoresSpec(("latex", "rouge"), ("test",)))
    by_id = frame.set_index("id")
    assert list(by_id.loc["math-test/algebra/3", ["strict", "flexible"]]) == [0, 1]
    assert list(by_id.loc["math-test/algebra/4", ["strict", "flexible"]]) == [0, 0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no json", "main.jsonl: line 1: found broken JSON at column 1"),
        ('["list"]', "main.jsonl: line 1: found .* allowed: an object of columns"),
        ('{"problem": "x"}', "main.jsonl: line 1: needed are the texts problem, sol"),
        ("version https://git-lfs", "main.jsonl: line 1: found broken JSON at"),
    ],
)
def test_what_is_no_such_file(hendrycks: dict[str, Path], text: str, said: str) -> None:
    hendrycks["math-main"].write_text(text + "\n")
    with pytest.raises(UserError, match=said):
        build(spec("hendrycks-math", 2, 0, 2), hendrycks)

"""GSM8K and MATH in a real run: trained on, asked with shots; and DPO on given pairs."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.file_server import serve_texts
from tests.flow import Flow, clone

RUN = ("--configfile", "math.yaml", "--cores", "2")


def lines(rows: list[dict]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def problem(name: str, i: int) -> dict:
    return {
        "problem": f"What is ${i} + {i}$ for {name}?",
        "solution": f"It is $\\boxed{{{2 * i}}}$.",
        "answer": f"{2 * i}",
        "subject": "Algebra",
        "unique_id": f"{name}/algebra/{i}.json",
    }


@pytest.fixture
def files(tmp_path: Path) -> Iterator[dict[str, dict[str, str]]]:
    def gsm8k(numbers: range) -> list[dict]:
        return [
            {"question": f"Ann has {i} nuts, Bo none. All?", "answer": f"#### {i}"}
            for i in numbers
        ]

    texts = {
        "gsm8k-train": lines(gsm8k(range(100, 120))),
        "gsm8k-test": lines(gsm8k(range(300, 306))),
        "math-main": lines([problem("train", i) for i in range(12)])
        + lines([problem("test", i) for i in range(3)]),
        "math-500": lines([problem("test", 9)]),
        "judged": lines(
            [
                {"prompt": f"Say {i}", "chosen": f"So: {i}", "rejected": "No."}
                for i in range(6)
            ]
        ),
    }
    with serve_texts(tmp_path / "served", texts) as found:
        yield found


@pytest.mark.slow
def test_math_and_preferences(
    tmp_path: Path, files: dict[str, dict[str, str]], warm: Callable[[Flow], None]
) -> None:
    pytest.importorskip("lm_eval")
    pytest.importorskip("math_verify")
    flow = clone(tmp_path / "clone")
    warm(flow)
    small = yaml.safe_load((Path(__file__).parent / "small.yaml").read_text())
    second = {"parent": "sft", "stage": "second"}
    config = {
        **{key: small[key] for key in ("scale", "device", "models", "stages")},
        "files": files,
        "tasks": {
            "math": {
                "dataset": "hendrycks-math",
                "train_rows": 6,
                "validation_rows": 0,
                "test_rows": 4,
                "max_new_tokens": 16,
                "leakage_limit": 1.0,
            }
        },
        "methods": {
            "base": small["methods"]["base"],
            "sft": small["methods"]["sft"],
            "own": {"label": "SFT + DPO", "mix": "spin", **second},
            "given": {"label": "SFT + D", "mix": "pairs", "preferences": "p", **second},
        },
        "preferences": {
            "p": {
                "file": "judged",
                "rows": 6,
                "max_prompt_tokens": 40,
                "max_tokens": 60,
            }
        },
        "evaluation": {
            "baseline": "sft",
            "gsm8k": {"tasks": ["math"], "items": 3},
            "minerva_math": {"tasks": ["math"]},
        },
    }
    flow.write_config("math.yaml", config)
    planned = flow.rules(*RUN)
    methods = len(config["methods"])
    assert planned["ask_few_shot"] == 2 * methods
    assert planned["tabulate"] == 3 + 3, "both, preferences; main, details, cost"
    done = flow.snakemake(*RUN)
    assert done.returncode == 0, done.stdout
    assert flow.rules(*RUN) == {}

    def table(name: str) -> list[dict[str, str]]:
        with (flow.root / f"results/tables/{name}.csv").open() as file:
            return list(csv.DictReader(file))

    assert [row["n"] for row in table("gsm8k")] == ["3"] * methods
    assert [row["n"] for row in table("minerva-math")] == ["4"] * methods
    for row in table("gsm8k") + table("minerva-math"):
        assert 0 <= float(row["strict"]) <= 1 and 0 <= float(row["flexible"]) <= 1
    assert {(row["metric"], row["n"]) for row in table("main")} == {("strict", "4")}
    for row in table("details"):
        assert row["strict"] == row["flexible"] == "0.000000", "a random model"
    preferred = {row["preference_method"]: row for row in table("preference")}
    kinds = {name: row["pairs"] for name, row in preferred.items()}
    assert kinds == {"own": "spin", "given": "pairs"}

    import pandas as pd

    rows = pd.read_parquet(flow.root / "results/rows/math/tiny/given/seed0.parquet")
    assert list(rows["role"]) == ["chosen", "rejected"] * 6
    assert rows["input_ids"].map(len).max() <= 60

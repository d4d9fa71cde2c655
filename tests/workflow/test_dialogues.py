"""A file of dialogues in a real run: packed, trained on, and the loss on held-out ones in its
table and held against known numbers."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from tests.flow import Flow, clone

RUN = ("--configfile", "talk.yaml", "--cores", "2")
LOSS = {
    "kind": "codebase-anchor",
    "table": "held-out-loss",
    "columns": ["loss", "low", "high"],
    "row": {"task": "chains", "model": "tiny", "method": "sft"},
    "scale": "small",
    "source": "nobody",
}


def lines(numbers: range) -> str:
    def turns(i: int) -> list[dict[str, str]]:
        texts = (f"What is {i}?", f"{i}.", "Sure?", "Quite.")[: 2 + 2 * (i % 2)]
        roles = ("user", "assistant") * 2
        return [
            {"role": role, "content": text}
            for role, text in zip(roles, texts, strict=False)
        ]

    return "".join(json.dumps({"messages": turns(i)}) + "\n" for i in numbers)


@pytest.mark.slow
def test_dialogues_from_a_file_to_an_outcome(
    tmp_path: Path, warm: Callable[[Flow], None]
) -> None:
    flow = clone(tmp_path / "clone")
    warm(flow)
    (flow.root / "train.jsonl").write_text(lines(range(100, 120)))
    (flow.root / "test.jsonl").write_text(lines(range(200, 210)))
    small = yaml.safe_load((Path(__file__).parent / "small.yaml").read_text())
    config: dict[str, Any] = {
        **{key: small[key] for key in ("scale", "device", "models")},
        "files": {"train": {"path": "train.jsonl"}, "test": {"path": "test.jsonl"}},
        "tasks": {
            "chains": {
                "dataset": "chains",
                "train_rows": 8,
                "validation_rows": 0,
                "test_rows": 4,
                "max_new_tokens": 26,
                "leakage_limit": 1.0,
            }
        },
        "stages": {
            "sft": {
                **{"batch_size": 4, "learning_rate": 1.0e-3, "epochs": 2},
                **{"loss": "all", "dialogues": "talk"},
            }
        },
        "dialogues": {
            "talk": {
                **{"train": "train", "test": "test", "train_rows": 20},
                **{"test_rows": 10, "block_tokens": 64},
            }
        },
        "methods": {name: small["methods"][name] for name in ("base", "sft")},
        "evaluation": {
            "baseline": "sft",
            "values": "known.yaml",
        },
    }
    values = [
        # A random model of 259 tokens hardly knows anything: ln 259 is 5.56.
        {"what": "near", "value": 5.5, "sd": 0.5, **LOSS},
        {"what": "far", "value": 0.9353, **LOSS},
    ]
    (flow.root / "known.yaml").write_text(yaml.safe_dump({"values": values}))
    flow.write_config("talk.yaml", config)
    done = flow.snakemake(*RUN)
    assert done.returncode == 0, done.stdout

    rows = pd.read_parquet(flow.root / "results/rows/chains/tiny/sft/seed0.parquet")
    assert set(rows["input_ids"].map(len)) == {64}
    assert (rows["labels"].map(list) == rows["input_ids"].map(list)).all()
    made = json.loads(
        (flow.root / "results/rows/chains/tiny/sft/seed0.json").read_text()
    )
    assert made["rows"] == len(rows) == 2 * ((made["dialogue_tokens"] + 20) // 64)
    assert made["steps"] == rows["step"].max() + 1

    def table(name: str) -> list[dict[str, str]]:
        with (flow.root / f"results/tables/{name}.csv").open() as file:
            return list(csv.DictReader(file))

    losses = pd.read_parquet(flow.root / "results/losses/chains/tiny/sft/seed0.parquet")
    [line] = table("held-out-loss")
    assert float(line["loss"]) == round(losses["loss"].mean(), 6)
    assert (int(line["blocks"]), int(line["tokens"])) == (len(losses), 63 * len(losses))
    held = {row["what"]: row for row in table("verify")}
    assert {name: row["outcome"] for name, row in held.items()} == {
        "near": "met",
        "far": "not met",
    }
    assert held["near"]["measured"] == line["loss"]

    # With another number of held-out ones the loss is measured again, and nothing else.
    config["dialogues"]["talk"]["test_rows"] = 9
    flow.write_config("talk.yaml", config)
    again = {"measure_loss": 1, "tabulate": 2}
    assert flow.rules(*RUN) == again
    config["dialogues"]["talk"]["train_rows"] = 19
    flow.write_config("talk.yaml", config)
    assert (
        flow.rules(*RUN).items()
        >= {"mix_rows": 1, "finetune": 1, "measure_loss": 1, "tabulate": 8}.items()
    )

"""Small sets in the schemas in which the hub has TL;DR, UltraChat, UltraFeedback, GSM8K and
MATH, and how the fetch stage lays them down."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pandas

from selfgen.core.manifests import signed

SETS = {
    "tldr": "own/tldr",
    "ultrachat": "HuggingFaceH4/ultrachat_200k",
    "ultrafeedback": "HuggingFaceH4/ultrafeedback_binarized",
    "gsm8k": "openai/gsm8k",
    "math": "EleutherAI/hendrycks_math",
    "alpaca": "tatsu-lab/alpaca_eval",
}


def files(
    train: int = 40, test: int = 16
) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """The rows of every file of every repository."""

    def turns(*texts: str) -> list[dict[str, str]]:
        roles = ("user", "assistant") * len(texts)
        return [{"role": r, "content": t} for r, t in zip(roles, texts, strict=False)]

    def post(split: str, i: int) -> dict[str, Any]:
        return {
            "id": f"{split}-{i}",
            "subreddit": "relationships",
            "title": f"Story {i}",
            "post": f"I lost my {i} keys.\nThen I found them.",
            "summary": f"Lost and found {i} keys.",
            "query_token": [1, 2],
        }

    def chat(split: str, i: int) -> dict[str, Any]:
        said = turns(f"What is {i} + 1?", f"It is {i + 1}.", "Sure?", "Quite.")
        return {"prompt": "", "prompt_id": f"{split}{i}", "messages": said}

    def pair(i: int) -> dict[str, Any]:
        asked = f"Say {i}."
        return {
            "prompt": asked,
            "prompt_id": str(i),
            "chosen": turns(asked, f"{i}, gladly."),
            "rejected": turns(asked, "No."),
            "score_chosen": 9.0,
        }

    def sum_of(i: int) -> dict[str, Any]:
        worked = f"{i} + 4 = <<{i}+4={i + 4}>>{i + 4}.\n#### {i + 4}"
        return {"question": f"What is {i} + 4?", "answer": worked}

    def problem(kind: str, split: str, i: int) -> dict[str, Any]:
        return {
            "problem": f"{kind}, {split}: divide {i} by 7.",
            "level": "Level 1",
            "type": kind,
            "solution": rf"It is $\boxed{{\frac{{{i}}}{{7}}}}$.",
        }

    sizes = {"train": train, "validation": test, "test": test}
    found: dict[str, dict[str, list[dict[str, Any]]]] = {name: {} for name in SETS}
    for split, n in sizes.items():
        part = f"{split}-00000-of-00001.parquet"
        found["tldr"][f"data/{part}"] = [post(split, i) for i in range(n)]
        if split == "validation":
            continue
        kinds = {"sft": split, "gen": f"{split}-gen"}
        for kind, named in kinds.items():
            path = f"data/{split}_{kind}-00000-of-00001.parquet"
            found["ultrachat"][path] = [chat(named, i) for i in range(n)]
        first = 0 if split == "train" else 1000
        found["gsm8k"][f"main/{part}"] = [sum_of(first + i) for i in range(n)]
        for kind in ("Algebra", "Number Theory"):
            folder = kind.lower().replace(" ", "_")
            found["math"][f"{folder}/{part}"] = [
                problem(kind, split, i) for i in range(n)
            ]
    found["ultrafeedback"]["data/train_prefs-00000-of-00001.parquet"] = [
        pair(i) for i in range(train)
    ]
    found["alpaca"]["df_gamed.csv"] = [
        {
            "model": model,
            "index": i,
            "preference": (0.2, 0.3)[i % 2] + 0.4 * number,
            "std_delta_len": (1.0, -1.5)[number] + i / 10,
            "instruction_difficulty": i / 20,
            "not_gamed_baseline": False,
        }
        for number, model in enumerate(("concise", "verbose"))
        for i in range(8)
    ]
    return found


def serve_from(root: Path, names: dict[str, str]) -> None:
    """The repositories below ``root/datasets``, as ``tests.hub_server`` serves them;
    ``names`` in the place of those of ``SETS``."""
    for name, tables in files().items():
        for path, rows in tables.items():
            _write(root / "datasets" / (SETS | names)[name] / path, rows)


def write(folder: Path) -> dict[str, Path]:
    """Listings of the sets, fetched, by the names that files have in the configuration."""
    parts = {
        "tldr-train": ("tldr", "data/train-"),
        "tldr-validation": ("tldr", "data/validation-"),
        "tldr-test": ("tldr", "data/test-"),
        "ultrachat-train": ("ultrachat", "data/train_sft-"),
        "ultrachat-test": ("ultrachat", "data/test_sft-"),
        "ultrachat-gen": ("ultrachat", "data/train_gen-"),
        "ultrafeedback-train": ("ultrafeedback", "data/train_prefs-"),
        "gsm8k-train": ("gsm8k", "main/train-"),
        "gsm8k-test": ("gsm8k", "main/test-"),
        "math-main": ("math", "/train-"),
        "math-500": ("math", "/test-"),
    }
    found, sets = {}, files()
    for name, (which, part) in parts.items():
        listed = {}
        for path, rows in sets[which].items():
            if part in path:
                body = _write(folder / name / path, rows)
                digest = hashlib.sha256(body).hexdigest()
                listed[path] = {"bytes": len(body), "sha256": digest}
        assert listed
        found[name] = folder / f"{name}.listing"
        found[name].write_text(json.dumps(signed({"files": listed})))
    return found


def _write(path: Path, rows: list[dict[str, Any]]) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = pandas.DataFrame(rows)
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return path.read_bytes()

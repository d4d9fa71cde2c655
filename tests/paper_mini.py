"""config/paper.yaml made small: models of another size, fewer rows, one run of each, a CPU.

What is left is all that the paper's matrix is wired of: its tasks, methods (of general QA
all, of the others one), stages, judges and benchmarks, and every model and data set by its
own name and commit.
"""

from __future__ import annotations

import copy
from typing import Any

import yaml

from selfgen.data.pins import HubSpec
from selfgen.graph.sources import FILES
from selfgen.models.base import ModelSpec, create
from selfgen.models.loading import save
from tests.flow import REPO
from tests.hub_server import HubServer
from tests.hub_sets import SETS, serve_from

TINY = {
    "hidden_size": 32,
    "intermediate_size": 2048,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 8192,
}
OWN = {
    "tldr": [],
    "tldr-halves": ["bash", "random", "sft-wall"],
    "math": ["rac"],
    "math-halves": ["bash-100"],
    "competition-math": ["spin"],
}
"""The methods of a task beside those that all have; general QA has all of the paper's."""

TYPES = {"EleutherAI": "gpt_neox", "mistralai": "mistral"}


def paper() -> dict[str, Any]:
    return yaml.safe_load((REPO / "config" / "paper.yaml").read_text())


def mini(files: dict[str, dict[str, str]]) -> dict[str, Any]:
    """The configuration. ``files``: where small ones lie in the place of those that the
    catalogue has by address."""
    config = copy.deepcopy(paper())
    config |= {"scale": "paper-mini", "device": "cpu", "precision": "fp32"}
    for task in config["tasks"].values():
        task["seeds"] = task["seeds"][:1]
        task["train_rows"] = 12
        task["validation_rows"] = min(task["validation_rows"], 4)
        task["test_rows"] = 4
        task["max_new_tokens"] = 48  # random models do not end by themselves
        # The small sets are of a few sentences with other numbers in them.
        task["leakage_limit"] = 1.0
    for name, own in OWN.items():
        config["tasks"][name]["methods"] = ["base", "sft", "sft-continued", *own]
    for pairs in config["preferences"].values():
        pairs["rows"] = 12
    for model in config["models"].values():
        del model["shape"]
    for dialogues in config["dialogues"].values():
        dialogues |= {"train_rows": 12, "test_rows": 4, "block_tokens": 64}
    for name in ("alpaca_eval", "mt_bench"):
        config["evaluation"][name]["max_new_tokens"] = 48
    config["files"] |= files
    return config


def serve_models(server: HubServer) -> None:
    """Tiny random models under the names and commits of the real ones, in half precision as
    those are. Beside their weights texts and tables are small, as on the paper's scale."""
    for model in paper()["models"].values():
        owner = model["repo"].partition("/")[0]
        shape = TINY | ({"num_key_value_heads": 2} if owner == "mistralai" else {})
        spec = ModelSpec("random", None, None, TYPES[owner], shape)
        made, tokenizer = create(spec)
        save(made.half(), tokenizer, server.root / "models" / model["repo"])
        server.pins[model["repo"]] = model["revision"]


def serve_sets(server: HubServer) -> None:
    """Small data sets under the names and commits of the real ones."""
    tldr = paper()["files"]["tldr-train"]["repo"]
    serve_from(server.root, {"tldr": tldr})
    for spec in FILES.values():
        if isinstance(spec, HubSpec):
            server.pins[spec.repo] = spec.revision


def problems_of_hub(server: HubServer) -> dict[str, dict[str, str]]:
    """GSM8K and MATH from the hub, for ``files``."""
    found = {}
    for name, which, path in (
        ("gsm8k-train", "gsm8k", "main/train-*.parquet"),
        ("gsm8k-test", "gsm8k", "main/test-*.parquet"),
        ("math-main", "math", "*/train-*.parquet"),
        ("math-500", "math", "*/test-*.parquet"),
    ):
        commit = server.commit("dataset", SETS[which])
        found[name] = {"repo": SETS[which], "revision": commit, "path": path}
    return found

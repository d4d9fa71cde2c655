"""Models of four families, a hybrid among them, through the DAG: SFT, BASH, RAC, DPO."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable

import pytest

from tests.flow import REPO, Flow

READ = {"gemma2": "padded", "phi3": "flat", "qwen3": "flat", "hybrid": "padded"}
ENGINES = {
    "gemma2": {"sequential"},
    "phi3": {"speculative", "sequential"},
    "qwen3": {"speculative", "sequential"},
    "hybrid": {"alone"},
}


@pytest.mark.slow
def test_four_families_to_the_table(flow: Flow, warm: Callable[[Flow], None]) -> None:
    warm(flow)
    shutil.copy(REPO / "tests/workflow/families.yaml", flow.root)
    pairs = [
        {"prompt": f"Name {n}.", "chosen": f"It is {n}.", "rejected": "No."}
        for n in range(4)
    ]
    text = "".join(json.dumps(pair) + "\n" for pair in pairs)
    (flow.root / "pairs.jsonl").write_text(text)
    done = flow.snakemake("--configfile", "families.yaml", "--cores", "2")
    assert done.returncode == 0, done.stdout
    table = (flow.root / "results/tables/main.csv").read_text()
    for model, way in READ.items():
        for method in ("base", "sft", "sft-continued", "bash", "rac", "dpo"):
            assert f"{model},{method},direct," in table
        assert f"{model},rac,corrected," in table
        trained = f"results/models/descriptions/{model}/bash/seed0/manifest.json"
        assert json.loads((flow.root / trained).read_text())["read"] == way
        for path in (flow.root / "results/passes").glob(f"*/{model}/**/*.json"):
            made = json.loads(path.read_text())
            assert made["read"] == way
            assert made["engine"] in ENGINES[model]

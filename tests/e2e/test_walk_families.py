"""A stranger's rows with models of other kinds than llama's: look, check, run, table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from selfgen.cli.main import main
from tests.tiny import tickets, tiny

KINDS: dict[str, dict[str, Any]] = {
    "qwen3": {"head_dim": 8},
    "gemma3_text": {
        "head_dim": 8,
        "sliding_window": 16,
        "layer_types": ["sliding_attention", "full_attention"],
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_own_rows_and_a_model_of_another_kind(
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny(tmp_path / "tiny", kind, **KINDS[kind])
    lines = [json.dumps(row) for row in tickets(300)]
    Path("words.jsonl").write_text("\n".join(lines))
    assert main(["new", "words.jsonl", "tiny", "--minutes", "2"]) == 0
    path = Path("words/config.yaml")
    raw = yaml.safe_load(path.read_text())
    for method in ("random", "sft-continued"):
        del raw["methods"][method]
    raw["evaluation"] = {"baseline": "sft"}
    raw["tasks"]["words"] |= {"train_rows": 16, "validation_rows": 8, "test_rows": 16}
    path.write_text(yaml.safe_dump(raw, sort_keys=False))
    assert main(["check", "words"]) == 0
    monkeypatch.chdir(tmp_path)
    assert main(["run", "words"]) == 0
    said = capfd.readouterr().out
    for label in ("Base", "SFT", "BASH", "RAC", "RAC, corrected once"):
        assert f"\n| {label} |" in said, said[-3000:]
    made = next(Path("words/results/passes").rglob("seed0.json"))
    assert json.loads(made.read_text())["changed_tokens"] > 0

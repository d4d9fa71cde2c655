"""Rows of a node: the same examples, steps and labels under every mix."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.test_prompts import folder, tokenizer  # noqa: F401 (fixtures)

from selfgen.core.errors import UserError
from selfgen.core.spec import Device, Sampling
from selfgen.data.prompts import PromptSpec
from selfgen.generation.passes import run_pass
from selfgen.generation.spec import PassSpec
from selfgen.methods.bash import BashRows
from selfgen.methods.plain import PlainRows
from selfgen.methods.rac import RacRows
from selfgen.mixing.build import build
from selfgen.mixing.spec import Epochs, RowsSpec

PROMPT = PromptSpec("{prompt}", "Again.", 200, 30)
ROWS = RowsSpec(
    seed=0,
    rows=(0, 10),
    epochs=2,
    batch_size=4,
    prompt=PROMPT,
    method=PlainRows(mix="plain"),
)
BASH = replace(ROWS, method=BashRows(mix="bash"))
PASS = PassSpec(
    kind="forced",
    sampling=Sampling(1.0),
    beta=0.5,
    seed=0,
    rows=(0, 10),
    epochs=2,
    prompt=PROMPT,
    device=Device("cpu", "fp32"),
)


def records(n: int = 12) -> list[dict[str, Any]]:
    return [
        {
            "id": f"e{i:02d}",
            "split": "train",
            "prompt": f"question {i} " * (1 + i % 3),
            "reference": f"answer {i}",
        }
        for i in range(n)
    ]


def generate(folder: Path, spec: PassSpec = PASS) -> tuple[Any, dict[str, Any]]:  # noqa: F811
    made = run_pass(records(), folder, spec)
    return list(made.rows), made.facts


def labels(row: dict[str, Any]) -> list[int]:
    return [label for label in row["labels"] if label != -100]


def test_methods_see_the_same_steps_and_labels(folder: Path, tokenizer: Any) -> None:  # noqa: F811
    plain = build(records(), [], ROWS, tokenizer)
    forced, facts = generate(folder)
    onepass, _ = generate(folder, replace(PASS, kind="onepass"))
    drafts, _ = generate(folder, replace(PASS, kind="free"))
    built = {
        "bash": build(records(), forced, BASH, tokenizer),
        "onepass": build(records(), onepass, BASH, tokenizer),
        "rac": build(
            records(), drafts, replace(ROWS, method=RacRows(mix="rac")), tokenizer
        ),
    }
    for rows in built.values():
        for a, b in zip(plain, rows, strict=True):
            assert (a["step"], a["id"], a["epoch"]) == (b["step"], b["id"], b["epoch"])
            assert labels(a) == labels(b)
            assert len(b["input_ids"]) == len(b["labels"]) == len(b["attention_mask"])
    changed = 0
    for a, b in zip(plain, built["bash"], strict=True):
        start = a["labels"].count(-100)
        assert a["input_ids"][:start] == b["input_ids"][:start]
        assert b["input_ids"][-1] == tokenizer.eos_token_id
        pairs = zip(a["input_ids"], b["input_ids"], strict=True)
        changed += sum(x != y for x, y in pairs)
    assert changed == facts["changed_tokens"] > 0
    assert facts["changed_tokens"] <= facts["drawn_tokens"]
    longer = [
        len(b["input_ids"]) > len(a["input_ids"])
        for a, b in zip(plain, built["rac"], strict=True)
    ]
    assert 0 < sum(longer) < len(longer), "some rows correct, the others are plain"


def test_epochs_are_drawn_anew(folder: Path) -> None:  # noqa: F811
    rows, _ = generate(folder)
    first = {row["id"]: row["tokens"] for row in rows if row["epoch"] == 0}
    second = {row["id"]: row["tokens"] for row in rows if row["epoch"] == 1}
    assert set(first) == set(second)
    assert first != second


def test_fresh_rows_are_other_examples(tokenizer: Any) -> None:  # noqa: F811
    fresh = build(records(), [], replace(ROWS, rows=(10, 12)), tokenizer)
    same = build(records(), [], ROWS, tokenizer)
    assert not {row["id"] for row in fresh} & {row["id"] for row in same}
    with pytest.raises(UserError, match="found 12 training records, rows 10 to 20"):
        build(records(), [], replace(ROWS, rows=(10, 20)), tokenizer)


def test_joined_stages_have_their_rows_one_after_the_other(tokenizer: Any) -> None:  # noqa: F811
    """Two epochs of the first ten in steps of four (six steps), then one of the last two in
    steps of one."""
    fresh = {"rows": (10, 12), "epochs": 1, "batch_size": 1}
    sft = build(records(), [], ROWS, tokenizer)
    second = build(records(), [], replace(ROWS, **fresh), tokenizer)
    joined = replace(ROWS, then=(Epochs(**fresh),))
    whole = build(iter(records()), [], joined, tokenizer)
    assert whole == sft + [row | {"step": row["step"] + 6} for row in second]
    assert [row["step"] for row in whole[-3:]] == [5, 6, 7]


def test_pass_must_match_the_examples(folder: Path, tokenizer: Any) -> None:  # noqa: F811
    rows, _ = generate(folder)
    with pytest.raises(UserError, match=r"1 rows missing, 0 foreign, 0 doubled: e\d"):
        build(records(), rows[1:], BASH, tokenizer)
    with pytest.raises(UserError, match="0 rows missing, 0 foreign, 1 doubled"):
        build(records(), [*rows, rows[0]], BASH, tokenizer)
    with pytest.raises(UserError, match="0 rows missing, 1 foreign, 0 doubled: other"):
        build(records(), [*rows, {**rows[0], "id": "other"}], BASH, tokenizer)

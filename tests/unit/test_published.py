"""TL;DR, UltraChat, UltraFeedback, GSM8K and MATH in the schemas of the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas
import pytest
from tests.hub_sets import write

from selfgen.core.errors import UserError
from selfgen.data import preferences
from selfgen.data.dataset import RecordsSpec
from selfgen.data.listing import folder_of
from selfgen.tasks import hendrycks_math
from selfgen.tasks.build import build


@pytest.fixture
def listed(tmp_path: Path) -> dict[str, Path]:
    """Listings as the fetch stage writes them, by the names of the files."""
    return write(tmp_path)


def records(listed: dict[str, Path], dataset: str, **rows: int) -> list[dict[str, Any]]:
    return build(RecordsSpec("t", dataset, rows), listed)[0].to_list()


def test_tldr(listed: dict[str, Path]) -> None:
    rows = records(listed, "tldr", train=20, validation=4, test=4)
    assert {row["split"] for row in rows} == {"train", "validation", "test"}
    row = next(row for row in rows if row["id"] == "tldr-train-3")
    assert row["prompt"] == (
        "SUBREDDIT: r/relationships\n\nTITLE: Story 3\n\nPOST: I lost my 3 keys.\nThen I"
        " found them."
    )
    assert row["reference"] == "Lost and found 3 keys."


def test_ultrachat_is_the_first_turn(listed: dict[str, Path]) -> None:
    rows = records(listed, "ultrachat", train=20, validation=4, test=4)
    row = next(row for row in rows if row["id"] == "ultrachat-train-3")
    assert (row["prompt"], row["reference"]) == ("What is 3 + 1?", "It is 4.")
    assert sum(row["split"] == "validation" for row in rows) == 4


def test_ultrafeedback(listed: dict[str, Path]) -> None:
    rows = preferences.read(listed["ultrafeedback-train"], 40)
    row = next(row for row in rows if row["prompt"] == "Say 3.")
    assert (row["reference"], row["rejected"]) == ("3, gladly.", "No.")


def test_gsm8k(listed: dict[str, Path]) -> None:
    rows = records(listed, "gsm8k", train=20, validation=4, test=4)
    row = next(row for row in rows if row["prompt"] == "What is 3 + 4?")
    assert (row["reference"], row["answer"]) == ("3 + 4 = 7.\n#### 7", "7")


def test_math(listed: dict[str, Path]) -> None:
    rows = records(listed, "hendrycks-math", train=76, validation=4, test=4)
    assert {row["kind"] for row in rows} == {"Algebra", "Number Theory"}
    row = next(row for row in rows if row["id"] == "math-train/algebra/4")
    assert row["answer"] == r"\frac{3}{7}"
    read = hendrycks_math.read([listed["math-main"], listed["math-500"]])
    assert [row["unique_id"] for row in read[:3]] == [
        "test/algebra/1",
        "test/algebra/2",
        "test/algebra/3",
    ]


def test_a_dialogue_without_an_answer(listed: dict[str, Path]) -> None:
    path = folder_of(listed["ultrachat-test"]) / "data/test_sft-00000-of-00001.parquet"
    pandas.DataFrame({"messages": [[{"role": "user", "content": "Hm?"}]]}).to_parquet(
        path
    )
    local = listed | {"ultrachat-test": path}
    with pytest.raises(UserError, match="row 1: needed are messages with a question"):
        records(local, "ultrachat", train=1, test=1)

"""Many rows: what one more takes of memory, and the benchmark that shows it."""

from __future__ import annotations

import gc
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pandas
import pytest
from tests.unit.test_bench import bench
from tests.unit.test_prompts import folder, tokenizer  # noqa: F401 (fixtures)
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast

from selfgen.bench import scale
from selfgen.core.rows import write_rows
from selfgen.core.spec import Device
from selfgen.data import prompts, turns
from selfgen.data.chat_templates import PLAIN
from selfgen.data.prompts import PromptSpec
from selfgen.data.records import COLUMNS

EMPTY = dict.fromkeys(COLUMNS, "")
RECORDS = [
    EMPTY | {"id": str(i), "prompt": f"{i}. {text}", "reference": f"{text} {i}!"}
    for i, text in enumerate(["Name a sea" * 10, "One and one is" * 5, "Why" * 20])
]
PROMPT = PromptSpec("{prompt}", "Correct it.", 200, 40)


def held(case: scale.Case, name: str, count: int, out: Path) -> int:
    """Bytes that a step holds when its first row is out."""
    write_rows(out / "records.parquet", case.rows(count))
    gc.collect()
    tracemalloc.start()
    rows = scale.STEPS[name](case, out / "records.parquet").rows
    next(rows)
    gc.collect()
    current, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    rows.close()
    return current


@pytest.mark.parametrize("name", scale.STEPS)
def test_a_row_more_takes_its_tokens_and_little_else(
    name: str,
    folder: Path,  # noqa: F811
    tokenizer: Any,  # noqa: F811
    tmp_path: Path,
) -> None:
    case = scale.Case(folder, RECORDS, PROMPT, 0.25, Device("cpu", "fp32"))
    held(case, name, 10, tmp_path)  # imports
    few, many = (held(case, name, count, tmp_path) for count in (100, 700))
    tokens = [
        len(prompts.prompt_ids(tokenizer, PROMPT, record["prompt"]))
        + len(prompts.answer_ids(tokenizer, PROMPT, record["reference"]))
        for record in RECORDS
    ]
    row = (many - few) / 600
    assert row < 8 * sum(tokens) / 3 + 1700


def test_rows_share_the_numbers_of_their_tokens() -> None:
    """Else each takes 28 bytes beside the 8 of its place."""
    words = Tokenizer(WordLevel({f"w{i}": i for i in range(400)}, unk_token="w0"))
    words.pre_tokenizer = Whitespace()
    own = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="w0")
    own.chat_template = PLAIN
    one, other = (turns.text_ids(own, text) for text in ("w399 w7", "w1 w399"))
    assert one[0] == other[1] == 399  # Python itself shares numbers up to 256
    assert one[0] is other[1]


@pytest.mark.slow
def test_the_benchmark(folder: Path, tmp_path: Path) -> None:  # noqa: F811
    write_rows(tmp_path / "some.parquet", RECORDS)
    argv = ["--weights", folder, "--records", tmp_path / "some.parquet", "--rows", "3"]
    argv += ["7", "--max-new-tokens", "5", "--out", tmp_path, "--threads", "1"]
    assert bench("scale", *argv) == 0
    timings = json.loads((tmp_path / "scale.json").read_text())["timings"]
    assert [t["name"] for t in timings] == 2 * list(scale.STEPS)
    assert [t["case"]["rows"] for t in timings] == [3, 3, 7, 7]
    # References and greedy answers of a random model are longer
    assert [t["notes"]["tokens"] for t in timings] == [15, 15, 35, 35]
    assert all(t["memory_mb"] > 100 for t in timings)
    page = (tmp_path / "scale.md").read_text()
    lines = [line.split("|") for line in page.splitlines() if line.startswith("| ")]
    assert [line[5].strip() for line in lines] == ["tokens a row", "--:", *4 * ["5.0"]]


def test_no_rows_are_refused(
    folder: Path,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_rows(tmp_path / "some.parquet", RECORDS)
    argv = ["--weights", folder, "--records", tmp_path / "some.parquet"]
    assert bench("scale", *argv, "--rows", "0", "--out", tmp_path) == 1
    assert "--rows: found 0" in capsys.readouterr().err
    pandas.DataFrame(columns=list(COLUMNS)).to_parquet(tmp_path / "some.parquet")
    assert bench("scale", *argv, "--rows", "1", "--out", tmp_path) == 1
    assert "some.parquet: found no record" in capsys.readouterr().err

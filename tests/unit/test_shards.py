"""Parts of a pass that several jobs make, and the file that is put together of them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfgen.core import manifests
from selfgen.core.errors import UserError
from selfgen.core.rows import read_rows, write_rows
from selfgen.generation import gather
from selfgen.generation.decoding import Prompt, of_shard
from selfgen.generation.gather import in_plan_order
from selfgen.runtime.job import Job


def prompts(lengths: list[int]) -> list[Prompt]:
    return [Prompt(f"p{n:06}", 0, [3] * length) for n, length in enumerate(lengths)]


def test_batches_are_dealt_forth_and_back() -> None:
    """By hand: seven rows of which each is longer than the next, two at a time."""
    rows = prompts([7, 6, 5, 4, 3, 2, 1])
    parts = [
        [len(row.prompt_ids) for row in of_shard(rows, 2, shard, 2)] for shard in (0, 1)
    ]
    assert parts == [[7, 6, 1], [5, 4, 3, 2]]
    assert list(in_plan_order(parts, 2)) == [7, 6, 5, 4, 3, 2, 1]


@given(st.lists(st.integers(1, 50), max_size=60), st.integers(1, 7), st.integers(1, 9))
def test_parts_together_are_the_whole_plan(
    lengths: list[int], size: int, shards: int
) -> None:
    rows = prompts(lengths)
    parts = [of_shard(rows, size, shard, shards) for shard in range(shards)]
    assert list(in_plan_order(parts, size)) == of_shard(rows, size, 0, 1)


@pytest.mark.parametrize("shards", [2, 4, 8])
def test_the_fullest_shard_keeps_the_others_waiting_less_than_5_percent(
    shards: int,
) -> None:
    draw = random.Random(0)
    rows = prompts([draw.randint(1, 1000) for _ in range(10_000)])
    tokens = [
        sum(len(row.prompt_ids) for row in of_shard(rows, 64, shard, shards))
        for shard in range(shards)
    ]
    assert sum(tokens) / shards / max(tokens) > 0.95


def part(folder: Path, shard: int, ids: list[str], batch_size: int) -> None:
    path = folder / f"{shard}of2.parquet"
    write_rows(path, [{"id": name} for name in ids])
    run = Job({}, {}, batch_size=batch_size, shard=shard, shards=2).told()
    facts = {"run": run, "started_at": 10.0 * shard, "wall_seconds": 2.0}
    manifests.write(
        path.with_suffix(".json"), "generate_answers", "{}", {}, "", [path], facts
    )


def gathered(folder: Path) -> list[str]:
    paths = [folder / f"{shard}of2.parquet" for shard in (0, 1)]
    inputs = {
        "parts": tuple(paths),
        "manifests": tuple(path.with_suffix(".json") for path in paths),
    }
    made = folder / "whole.parquet"
    facts = gather.step(None, Job(inputs, {"answers": made}))  # type: ignore[arg-type]
    assert facts["wall_seconds"] == 12.0
    return [row["id"] for row in read_rows(made)]


def test_a_file_is_put_together_in_the_order_of_the_plan(tmp_path: Path) -> None:
    part(tmp_path, 0, ["a", "b", "g"], 2)
    part(tmp_path, 1, ["c", "d", "e", "f"], 2)
    assert gathered(tmp_path) == [*"abcdefg"]


def test_parts_of_other_batches_are_refused(tmp_path: Path) -> None:
    part(tmp_path, 0, ["a", "b", "g"], 2)
    part(tmp_path, 1, ["c", "d", "e", "f"], 4)
    with pytest.raises(UserError, match=r"found parts of batches of 2 and 4, allowed"):
        gathered(tmp_path)

"""Steps of rows, read from a file or in memory, and how processes share one."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.test_training import rows

from selfgen.core.errors import UserError
from selfgen.core.spec import Steps
from selfgen.training.batches import Passes, steps_of, tokens_of


@settings(deadline=None, max_examples=25)
@given(
    sizes=st.lists(st.integers(1, 7), min_size=1, max_size=8),
    group=st.integers(1, 9),
    first=st.integers(0, 3),
)
def test_steps_of_a_file_are_those_of_its_rows(
    sizes: list[int], group: int, first: int
) -> None:
    """Wherever its row groups end, and in any order of asking."""
    part = Steps(first, first + len(sizes), 99)
    made = [
        {
            "step": first + step,
            "id": f"{step}-{i}",
            "input_ids": [step, i],
            "labels": [9, i],
        }
        for step, size in enumerate(sizes)
        for i in range(size)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.parquet")
        table = pyarrow.Table.from_pylist(made)
        pyarrow.parquet.write_table(table, path, row_group_size=group)
        stored, held = steps_of(path, part), steps_of(made, part)
        assert [*stored] == [*held]
        order = random.Random(group).sample(range(len(sizes)), len(sizes))
        assert [stored[i] for i in order] == [held[i] for i in order]


def test_a_file_out_of_order(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows(3)[::-1]), path)
    with pytest.raises(UserError, match="step 2 of row 2-7 is out of order"):
        steps_of(path)
    with pytest.raises(UserError, match=r"none\.parquet: this file is missing"):
        steps_of(tmp_path / "none.parquet")


@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=30),
    tokens=st.integers(1, 120),
    processes=st.integers(1, 6),
    share=st.booleans(),
)
def test_every_row_counts_once_and_no_process_waits_for_ever(
    lengths: list[int], tokens: int, processes: int, share: bool
) -> None:
    groups: list[list[dict[str, Any]]] = [
        [{"id": str(i), "input_ids": [0] * n, "labels": [0] * n}]
        for i, n in enumerate(lengths)
    ]
    module = torch.nn.Identity()
    cuts = [
        Passes(module, tokens, process, processes, share).cut(groups)
        for process in range(processes)
    ]
    counted = [row["id"] for parts, n in cuts for part in parts[:n] for row in part]
    assert sorted(counted) == sorted(map(str, range(len(lengths))))
    passes = [len(parts) for parts, _ in cuts]
    assert min(passes) >= 1
    if share:
        assert len(set(passes)) == 1
        assert max(n for _, n in cuts) == passes[0]
    for parts, n in cuts:
        for part in parts[:n]:
            assert len(part) == 1 or tokens_of(part) <= tokens
        for spare in parts[n:]:
            assert tokens_of(spare) == min(lengths)


def test_processes_that_run_out_of_memory_say_what_helps() -> None:
    """They cannot try half as many tokens: the others would wait for ever."""
    groups = [[row] for row in rows(1)]

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    found = Passes(torch.nn.Linear(1, 1), 500, 0, 2)
    said = (
        "memory with 500 tokens a forward pass: give fewer .finetune:micro_batch_tokens"
    )
    with pytest.raises(UserError, match=said):
        found.run(groups, full)

"""Dialogues packed into blocks: by hand, and for any dialogues."""

from __future__ import annotations

import hashlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfgen.core.errors import UserError
from selfgen.mixing.blocks import BlocksSpec, build, pack

EOS = 2
DIALOGUES = [[11, 12, 13], [21, 22, 23, 24, 25], [31], [41, 42, 43, 44, 45, 46]]


def test_blocks_by_hand() -> None:
    """Four dialogues have 15 tokens, and 19 with an EOS each: two blocks of 8, and 3 left."""
    assert list(pack(DIALOGUES, EOS, 8)) == [
        [11, 12, 13, EOS, 21, 22, 23, 24],
        [25, EOS, 31, EOS, 41, 42, 43, 44],
    ]
    assert list(pack(DIALOGUES, EOS, 19)) == [
        [
            *(11, 12, 13, EOS, 21, 22, 23, 24, 25, EOS, 31, EOS),
            *(41, 42, 43, 44, 45, 46, EOS),
        ]
    ]
    with pytest.raises(UserError, match="found 19 tokens, needed is a block of 20"):
        list(pack(DIALOGUES, EOS, 20))


def test_rows_by_hand() -> None:
    """Every dialogue has three tokens, and blocks four: whichever order, a block is a
    dialogue with its EOS, all of it asked for. Five blocks are three steps of two."""
    dialogues = {f"{i}": [10 * i, 10 * i + 1, 10 * i + 2] for i in range(1, 6)}
    rows = list(build(dialogues, BlocksSpec(5, 4, 0, 2, 2), EOS))
    assert [row["step"] for row in rows] == [0, 0, 1, 1, 2, 3, 3, 4, 4, 5]
    assert [row["epoch"] for row in rows] == [0] * 5 + [1] * 5
    assert [row["id"] for row in rows] == [f"block-{i}" for i in range(5)] * 2
    for row in rows:
        first = row["input_ids"][0]
        assert row["input_ids"] == [first, first + 1, first + 2, EOS]
        assert row["labels"] == row["input_ids"]
        assert row["attention_mask"] == [1, 1, 1, 1]
    orders = {}
    for epoch in (0, 1):
        own = [row for row in rows if row["epoch"] == epoch]
        orders[epoch] = [str(row["input_ids"][0] // 10) for row in own]
        assert orders[epoch] == by_hash(dialogues, f"order/0/{epoch}")
    assert orders[0] != orders[1]


def by_hash(names: dict[str, list[int]], salt: str) -> list[str]:
    """In the order of a hash of salt and name, whatever order they come in."""
    return sorted(
        names, key=lambda name: hashlib.sha256(f"{salt}\0{name}".encode()).digest()
    )


@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=20),
    size=st.integers(2, 9),
    seed=st.integers(0, 9),
    batch=st.integers(1, 4),
    data=st.data(),
)
def test_no_token_is_lost_but_those_of_the_last_block(
    lengths: list[int], size: int, seed: int, batch: int, data: st.DataObject
) -> None:
    """Tokens are numbered through, so that each says where it is from."""
    numbers = itertools.count(EOS + 1)
    dialogues = {
        str(i): [next(numbers) for _ in range(n)] for i, n in enumerate(lengths)
    }
    if sum(lengths) + len(lengths) < size:
        return
    spec = BlocksSpec(len(lengths), size, seed, 1, batch)
    rows = list(build(dialogues, spec, EOS))
    order = by_hash(dialogues, f"order/{seed}/0")
    whole = [token for name in order for token in (*dialogues[name], EOS)]
    found = [token for row in rows for token in row["input_ids"]]
    assert found == whole[: len(whole) - len(whole) % size]
    assert {len(row["input_ids"]) for row in rows} == {size}
    steps = [row["step"] for row in rows]
    assert steps == [i // batch for i in range(len(rows))]
    # Whatever order they are read in.
    names = data.draw(st.permutations(list(dialogues)))
    assert list(build({name: dialogues[name] for name in names}, spec, EOS)) == rows

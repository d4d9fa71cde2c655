"""The plan of steps: every example once an epoch, and the same for every method."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from selfgen.mixing.order import plan_steps


@given(st.integers(1, 70), st.integers(1, 9), st.integers(1, 3), st.integers(0, 5))
def test_every_example_once_an_epoch(n: int, size: int, epochs: int, seed: int) -> None:
    ids = [f"e{i:03d}" for i in range(n)]
    lengths = [10 + (i * 37) % 50 for i in range(n)]
    steps = plan_steps(ids, lengths, epochs=epochs, batch_size=size, seed=seed)
    assert len(steps) == epochs * -(-n // size)
    seen = [address for step in steps for address in step]
    assert sorted(seen) == sorted((i, e) for i in range(n) for e in range(epochs))
    assert [e for _, e in seen] == sorted(e for _, e in seen)
    assert all(len(step) <= size for step in steps)


def test_order_does_not_depend_on_the_file() -> None:
    ids = [f"e{i:03d}" for i in range(50)]
    lengths = list(range(50))
    forward = plan_steps(ids, lengths, epochs=1, batch_size=8, seed=0)
    backward = plan_steps(ids[::-1], lengths[::-1], epochs=1, batch_size=8, seed=0)
    names = [[ids[i] for i, _ in step] for step in forward]
    assert names == [[ids[::-1][i] for i, _ in step] for step in backward]
    assert names != [
        [ids[i] for i, _ in step]
        for step in plan_steps(ids, lengths, epochs=1, batch_size=8, seed=1)
    ]


def test_steps_hold_similar_lengths() -> None:
    ids = [f"e{i:03d}" for i in range(256)]
    lengths = [(i * 97) % 256 for i in range(256)]
    steps = plan_steps(ids, lengths, epochs=1, batch_size=8, seed=0)
    spread = [
        max(lengths[i] for i, _ in s) - min(lengths[i] for i, _ in s) for s in steps
    ]
    assert sum(spread) / len(spread) < 64  # unsorted: about 200

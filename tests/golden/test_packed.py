"""Rows packed into one sequence: the states and gradients of each row alone."""

from __future__ import annotations

import random
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from selfgen.models import attention
from tests.golden.conftest import KINDS, VOCABULARY, build, built


def packed(model: Any, rows: list[list[int]]) -> torch.Tensor:
    layout = attention.Packed([len(row) for row in rows], torch.device("cpu"))
    ids = torch.tensor([token for row in rows for token in row])
    return attention.forward_flat(model.base_model, ids, layout.positions, layout)


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(list(KINDS)),
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=5),
    seed=st.integers(0, 1000),
)
def test_states_are_those_of_each_row_alone(
    kind: str, lengths: list[int], seed: int
) -> None:
    model, stream = built(kind), random.Random(seed)
    attention.use(model)
    rows = [[stream.randrange(VOCABULARY) for _ in range(n)] for n in lengths]
    with torch.no_grad():
        together = packed(model, rows).split(lengths)
        for row, states in zip(rows, together, strict=True):
            alone = model.base_model(input_ids=torch.tensor([row]), use_cache=False)[0][
                0
            ]
            torch.testing.assert_close(states, alone, rtol=1e-4, atol=1e-4)


def test_gradients_are_those_of_the_rows_alone() -> None:
    rows = [[5, 9, 4, 7], [6, 3], [8, 8, 3, 20, 21, 22, 4, 5, 6, 7, 11]]
    for kind in KINDS:
        one, many = build(kind), build(kind)
        attention.use(many)
        packed(many, rows).square().sum().backward()
        for row in rows:
            states = one.base_model(input_ids=torch.tensor([row]), use_cache=False)[0]
            states.square().sum().backward()
        for (name, a), b in zip(one.named_parameters(), many.parameters(), strict=True):
            if a.grad is not None:
                torch.testing.assert_close(
                    a.grad, b.grad, rtol=1e-3, atol=1e-3, msg=name
                )


def test_the_sliding_window_counts() -> None:
    """A token 8 places back is out of the window of 8: changing it changes nothing."""
    model = build("mistral")
    model.model.layers = model.model.layers[:1]
    attention.use(model)
    row = [3 + i for i in range(12)]
    with torch.no_grad():
        states = packed(model, [row])
        for back, seen in ((7, True), (8, False)):
            other = list(row)
            other[11 - back] = 30
            changed = (packed(model, [other])[11] - states[11]).abs().max() > 1e-6
            assert bool(changed) == seen


def test_bf16_on_a_cpu_is_fp32_rounded_once() -> None:
    """Also under autocast, which would round queries, keys and values of its own again."""
    layout = attention.Packed([5, 3], torch.device("cpu"))
    torch.manual_seed(0)
    half = [torch.randn(8, heads, 16).bfloat16() for heads in (4, 2, 2)]
    whole = layout.attend(0, *(x.float() for x in half), None, None, 0.0)
    for autocast in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            found = layout.attend(0, *half, None, None, 0.0)
        assert found.dtype == torch.bfloat16
        assert torch.equal(found, whole.bfloat16())

"""Addressed randomness: uniform, Gumbel, and nothing but a function of the address."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from selfgen.core import rng
from selfgen.core.rng import gumbel, row_key, uniform

MASK = (1 << 64) - 1


def reference_splitmix(key: int, counter: int) -> float:
    """The same hash in Python's own unbounded integers."""
    x = (key + (counter + 1) * 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return (((x ^ (x >> 31)) >> 11) + 0.5) * 2.0**-53


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**31))
def test_equals_plain_integers(key: int, counter: int) -> None:
    found = uniform(torch.tensor(key), torch.tensor(counter)).item()
    assert found == reference_splitmix(key & MASK, counter)
    assert 0 < found < 1


def test_uniform_in_every_direction() -> None:
    keys = torch.tensor([row_key(0, "mix", i) for i in range(300)])
    table = uniform(keys[:, None], torch.arange(300)[None]).numpy()
    for values in (table.ravel(), table[0], table[:, 0], np.diagonal(table)):
        assert stats.kstest(values, "uniform").pvalue > 1e-4
    assert abs(np.corrcoef(table[:-1].ravel(), table[1:].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(table[:, :-1].ravel(), table[:, 1:].ravel())[0, 1]) < 0.02


@pytest.mark.parametrize("cached", [rng.CACHED, 1500, 1])
def test_gumbel_distribution_and_address(
    cached: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one part, in seven with a shorter last one, and with a row in each."""
    monkeypatch.setattr(rng, "CACHED", cached)
    keys = torch.tensor([row_key(0, "token", i) for i in range(20)])
    noise = gumbel(keys, torch.arange(20), 500)
    assert stats.kstest(noise.numpy().ravel(), "gumbel_r").pvalue > 1e-4
    for i in range(20):
        alone = gumbel(keys[i : i + 1], torch.tensor([i]), 500)
        assert torch.equal(alone[0], noise[i])
    shifted = gumbel(keys[7:8], torch.tensor([8]), 500)
    assert not torch.equal(shifted[0], noise[7])


def test_purposes_do_not_share_draws() -> None:
    assert len({row_key(0, p, 1, "a") for p in ("mix", "token", "free")}) == 3
    assert row_key(0, "mix", 1, "1a") != row_key(0, "mix", 11, "a")

"""Rotary positions whose frequencies follow the longest position of a pass.

Dynamic NTK and longrope choose their frequencies anew when a pass goes beyond a length, for
every row in it, and dynamic NTK keeps them afterwards. So what a row is read as would depend
on the rows beside and before it; such rows are read one by one.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import torch

FAR = 2**22
"""Beyond the positions of any model."""


def longest_alike(model: Any) -> int | None:
    """The most tokens that a pass may have in a row so that no other row's frequencies
    change; None where they never do."""
    lengths = [_longest_alike(*found) for found in _rotary(model)]
    return min((n for n in lengths if n is not None), default=None)


def forget(model: Any) -> None:
    """Let no earlier pass decide the frequencies of the next."""
    for module, options in _rotary(model):
        _frequencies(module, options, [0])


def _longest_alike(module: Any, options: dict[str, Any]) -> int | None:
    def alike(length: int) -> bool:
        alone = _frequencies(module, options, [0, 1, 2, 3])
        beside = _frequencies(module, options, [0, 1, 2, 3, length - 1])
        _frequencies(module, options, [0])
        return all(torch.equal(a, b[:, :4]) for a, b in zip(alone, beside, strict=True))

    if alike(FAR):
        return None
    few, many = 4, FAR
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (middle, many) if alike(middle) else (few, middle)
    return few


def _frequencies(
    module: Any, options: dict[str, Any], positions: list[int]
) -> tuple[torch.Tensor, ...]:
    device = next(module.buffers()).device
    x = torch.zeros((1, len(positions), 1), device=device)
    found = module(x, torch.tensor([positions], device=device), **options)
    return found if isinstance(found, tuple) else (found,)


def _rotary(model: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Modules that make frequencies, and what they ask for beside positions."""
    for module in model.modules():
        kinds = getattr(module, "rope_type", None)
        if kinds is None or not any(True for _ in module.buffers()):
            continue
        known = inspect.signature(module.forward).parameters
        if "position_ids" not in known:
            continue
        if "layer_type" in known:
            yield from ((module, {"layer_type": kind}) for kind in kinds)
        else:
            yield module, {}

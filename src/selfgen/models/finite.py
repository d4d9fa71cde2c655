"""Whether weights are numbers.

Of a model its parameters are looked at, and buffers are not: no optimiser step changes a
buffer, and one that masks may be infinite by right. What breaks in a buffer shows in the loss
and in logits. A file does not say which of its tensors are buffers, so there all count but
those of one number: in half precision, the mask that older code saved (``masked_bias`` of
GPT-NeoX, -1e9) is infinite. One that is a parameter is looked at when the model is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from selfgen.core.errors import UserError

if TYPE_CHECKING:
    import torch

Counts = list[tuple[str, int, int]]
"""Of tensors by name: how many of their values are not finite, of how many."""


def all_finite(tensors: Sequence[torch.Tensor]) -> bool:
    """Whether every value of some tensors is finite.

    One pass over the memory, and few calls on a GPU: the norm is not finite where a value
    is not. Of finite values beyond 1e19 it isn't either; then they are counted. Whole numbers
    are finite, and have no norm.
    """
    import torch

    tensors = [tensor for tensor in tensors if tensor.is_floating_point()]
    if bool(torch.nn.utils.get_total_norm(tensors).isfinite()):
        return True
    return not any(map(_count, tensors))


def counts(named: Iterable[tuple[str, torch.Tensor]]) -> Counts:
    """Each tensor counted, also those that are whole."""
    return [(name, _count(tensor), tensor.numel()) for name, tensor in named]


def _count(tensor: torch.Tensor) -> int:
    import torch

    return int((~torch.isfinite(tensor)).sum())


def told(found: Counts) -> str | None:
    """What is broken, in words: the first tensor, and how much there is in all; None where
    nothing is."""
    every = sum(size for *_, size in found)
    in_all = sum(part for _, part, _ in found)
    if not in_all:
        return None
    name, part, size = next(item for item in found if item[1])
    said = f"{part} of {size} values of {name} are not finite"
    return f"{said}, {in_all} of {every} in all" if found[1:] else said


def broken(model: torch.nn.Module) -> str | None:
    """What of a model's parameters is not finite, in words; None where all is."""
    if all_finite([*model.parameters()]):
        return None
    return told(counts(model.named_parameters()))


def check(model: torch.nn.Module, where: str) -> None:
    """Raises UserError, which says ``where``, unless a model's parameters are finite."""
    if said := broken(model):
        raise UserError(f"{where}: {said}; allowed: finite weights")


def check_file(path: Path) -> None:
    """Raises UserError, which names the file and the tensor, unless a safetensors file can
    be read and all its tensors with a dimension are finite. One at a time is in memory."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (it is no mapping)
                tensor = file.get_tensor(name)
                # Some types of 8 bits cannot be asked.
                tensor = tensor.float() if tensor.is_floating_point() else tensor
                if tensor.dim() and not all_finite([tensor]):
                    said = told(counts([(name, tensor)]))
                    raise UserError(f"{path}: {said}; allowed: finite weights")
    except SafetensorError as error:
        raise UserError(
            f"{path}: not whole safetensors: {error}; copy or fetch it again"
        ) from None

"""Weights laid out once for the products of a CPU, for models that read and write and are
not trained.

Each product lays out the whole matrix for the processor anew, which costs the more the fewer
rows are multiplied: most of what a pass of an engine, or the head, multiplies is a few dozen
rows. oneDNN, which comes with torch, keeps a matrix as it was laid out.
"""

from __future__ import annotations

import logging
import platform
from typing import Any

import torch

log = logging.getLogger(__name__)

MACHINES = ("x86_64", "AMD64")
"""Where it was measured: 1.3 to 3.5 times as fast in fp32 and 1 to 1.7 times in bf16, with 16
rows and more (AMD EPYC with AVX-512)."""


class Packed(torch.nn.Linear):
    """A layer whose matrix is laid out; ``weight`` has its shape alone, but where it is that
    of the embedding as well."""

    laid_out: torch.Tensor

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            input, self.laid_out, self.bias, "none", [], ""
        )
        return product


def can_pack(precision: str) -> bool:
    """Whether this machine multiplies matrices that are laid out, in a precision."""
    if platform.machine() not in MACHINES or not torch.backends.mkldnn.is_available():
        return False
    return precision == "fp32" or torch.ops.mkldnn._is_mkldnn_bf16_supported()


def pack(model: Any) -> None:
    """Lay out the matrices of all plain linear layers; the model cannot be trained, moved or
    saved from then on. Other layers stay as they are."""
    model.requires_grad_(False)
    embedded = model.get_input_embeddings().weight
    found = [x for x in model.modules() if type(x) is torch.nn.Linear]
    for layer in found:
        layer.laid_out = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach())
        if layer.weight is not embedded:
            shape = layer.weight.to("meta")
            layer.weight = torch.nn.Parameter(shape, requires_grad=False)
        layer.__class__ = Packed
    log.info("%d matrices are laid out for this CPU", len(found))

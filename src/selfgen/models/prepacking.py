"""Weights laid out once for the products of a CPU (prepacked), for models that read and write
and are not trained.

Each product lays out the whole matrix for the processor anew, which costs the more the fewer
rows are multiplied: most of what a pass of an engine, or the head, multiplies is a few dozen
rows. oneDNN, which comes with torch, keeps a matrix as it was laid out.
"""

from __future__ import annotations

import logging
import platform
from typing import Any

import torch

from selfgen.core import memory
from selfgen.models.reader import plain_logits

log = logging.getLogger(__name__)

TOKENS = 8
"""Read before and after."""

SHARE = 0.5
"""Of the free memory, for matrices that are laid out."""

APART = {"fp32": 1e-3, "bf16": 0.1}
"""How far logits may be, of the largest: far more than rounding, far less than a mistake."""

MACHINES = ("x86_64", "AMD64")
"""Where it was measured: 1.3 to 3.5 times as fast in fp32 and 1 to 1.7 times in bf16, with 16
rows and more (AMD EPYC with AVX-512)."""


class Prepacked(torch.nn.Linear):
    """A layer whose matrix is laid out; ``weight`` has its shape alone, but where it is that
    of the embedding as well."""

    laid_out: torch.Tensor

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            input, self.laid_out, self.bias, "none", [], ""
        )
        return product


def can_prepack(precision: str) -> bool:
    """Whether this machine multiplies matrices that are laid out, in a precision."""
    if platform.machine() not in MACHINES or not torch.backends.mkldnn.is_available():
        return False
    return precision == "fp32" or torch.ops.mkldnn._is_mkldnn_bf16_supported()


def prepack(model: Any, precision: str) -> bool:
    """Lay out the matrices of all plain linear layers; the model cannot be trained, moved or
    saved from then on. Other layers stay as they are.

    False: it stays as it was, since it reads otherwise then, as one does whose code takes
    weights past their layers, or since there is no memory for both: what is laid out, and the
    weights until the model has read.
    """
    layers = [x for x in model.modules() if type(x) is torch.nn.Linear]
    weights = [layer.weight for layer in layers]
    needed = sum(weight.numel() * weight.element_size() for weight in weights)
    expected = _logits(model)
    if expected is None or needed > SHARE * memory.available():
        return False
    embedded = model.get_input_embeddings().weight
    for layer in layers:
        layer.laid_out = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach())
        if layer.weight is not embedded:
            shape = layer.weight.to("meta")
            layer.weight = torch.nn.Parameter(shape, requires_grad=False)
        layer.__class__ = Prepacked
    found = _logits(model)
    if found is not None:
        differs = (found - expected).abs().max() / expected.abs().max()
        if differs <= APART[precision]:  # not where it is no number
            model.requires_grad_(False)
            log.info("%d matrices are laid out for this CPU", len(layers))
            return True
    for layer, weight in zip(layers, weights, strict=True):
        layer.__class__, layer.weight = torch.nn.Linear, weight
        del layer.laid_out
    return False


def _logits(model: Any) -> torch.Tensor | None:
    """Of a few tokens, by the model's ``forward`` alone; None where it cannot read them."""
    few = min(TOKENS, len(model.get_input_embeddings().weight))
    try:
        with torch.no_grad():
            return plain_logits(model, torch.arange(few)).float()
    except Exception:  # each architecture has errors of its own; the engines name them
        return None

"""Prepacked weights: laid out once for the products of a CPU, for models that read and write
and are not trained.

Each product lays out the whole matrix for the processor anew, which costs the more the fewer
rows are multiplied: most of what a pass of an engine, or the head, multiplies is a few dozen
rows. oneDNN, which comes with torch, keeps a matrix as it was laid out.

Products of prepacked weights round otherwise. So machine, model and precision decide whether
they are, and nothing else, such as free memory: a rerun gives the same bytes.
"""

from __future__ import annotations

import logging
import platform
from typing import Any, cast

import torch

from selfgen.models.reader import plain_logits

log = logging.getLogger(__name__)

TOKENS = 8
"""Read before and after."""

APART = {"fp32": 1e-3, "bf16": 0.1}
"""How far logits may be, of the largest: far more than rounding, far less than a mistake."""

MACHINE = "x86_64"
"""Where it was measured: docs/reference/bench."""


class Prepacked(torch.nn.Linear):
    """A layer with a prepacked matrix; ``weight`` has its shape alone, but where it is that
    of the embedding as well."""

    packed: torch.Tensor

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            input, self.packed, self.bias, "none", [], ""
        )
        return product


def can_prepack(precision: str) -> bool:
    """Whether this machine multiplies prepacked matrices, in a precision."""
    if platform.machine() != MACHINE or not torch.backends.mkldnn.is_available():
        return False
    return precision == "fp32" or torch.ops.mkldnn._is_mkldnn_bf16_supported()


def prepack(model: Any, precision: str) -> bool:
    """Prepack the matrices of all plain linear layers, one after the other, so that one is
    held twice at a time; the model cannot be trained, moved or saved from then on. Other
    layers stay as they are. A file that weights were mapped from stays mapped, and the
    system may take its pages back.

    False: it is as it was, since it reads otherwise then, as one does whose code takes
    weights past their layers.
    """
    if (expected := _logits(model)) is None:
        return False
    layers = [x for x in model.modules() if type(x) is torch.nn.Linear]
    embedded = model.get_input_embeddings().weight
    for layer in layers:
        layer.packed = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach())
        if layer.weight is not embedded:
            shape = layer.weight.to("meta")
            layer.weight = torch.nn.Parameter(shape, requires_grad=False)
        layer.__class__ = Prepacked
    found = _logits(model)
    if found is not None:
        differs = (found - expected).abs().max() / expected.abs().max()
        if differs <= APART[precision]:  # not where it is no number
            model.requires_grad_(False)
            log.info("%d matrices are prepacked for this CPU", len(layers))
            return True
    for layer in layers:
        if layer.weight is not embedded:
            packed = cast(torch.Tensor, layer.packed)
            layer.weight = torch.nn.Parameter(packed.to_dense())
        layer.__class__ = torch.nn.Linear
        del layer.packed
    log.info("the model reads otherwise with prepacked matrices and stays as it is")
    return False


def _logits(model: Any) -> torch.Tensor | None:
    """Of a few tokens, by the model's ``forward`` alone; None where it cannot read them."""
    few = min(TOKENS, len(model.get_input_embeddings().weight))
    try:
        with torch.no_grad():
            return plain_logits(model, torch.arange(few)).float()
    except Exception:  # each architecture has errors of its own; the engines name them
        return None

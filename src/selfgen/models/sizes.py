"""About how much memory a model and what it reads take, from its configuration alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAMES = {
    "layers": ("num_hidden_layers", "n_layer", "num_layers", "n_layers"),
    "size": ("hidden_size", "n_embd", "d_model", "dim"),
    "inner": ("intermediate_size", "n_inner", "ffn_dim", "d_ff"),
    "heads": ("num_attention_heads", "n_head", "num_heads", "n_heads"),
    "shared": ("num_key_value_heads", "num_kv_heads"),
    "head": ("head_dim",),
    "vocabulary": ("vocab_size",),
}
"""What configurations of transformers call the same."""

TOKEN_BYTES = 48
"""Of a token of an answer, for its number and whether it is drawn: a list of Python and an
array of 64 bits."""

LAYER_BYTES = 50_000
"""Of a layer without its weights: some thirty objects of torch."""

TRAINED_BYTES = 16
"""Of a parameter in training: weight, gradient and two moments in fp32."""

FP32, BF16 = 4, 2
"""Bytes of a number."""


def _numbers(config: Mapping[str, Any]) -> dict[str, int]:
    """By ``NAMES``; 0 where a configuration does not say it."""
    text = config.get("text_config")
    config = text if isinstance(text, Mapping) else config
    found = {}
    for name, words in NAMES.items():
        values = (config.get(word) for word in words)
        found[name] = next((v for v in values if isinstance(v, int) and v > 0), 0)
    if isinstance(types := config.get("layer_types"), list):
        # Others than attention over all tokens keep little of them.
        found["attending"] = sum("full" in str(kind) for kind in types)
    else:
        found["attending"] = found["layers"]
    if config.get("multi_query"):
        found["shared"] = 1
    return found


def token_bytes(config: Mapping[str, Any], number: int = BF16) -> int:
    """Of each token of a row that is generated: itself, and keys and values, whose numbers
    have ``number`` bytes."""
    n = _numbers(config)
    head = n["head"] or (n["size"] // n["heads"] if n["heads"] else 0)
    width = (n["shared"] or n["heads"]) * head
    return TOKEN_BYTES + 2 * n["attending"] * width * number


def parameters(config: Mapping[str, Any]) -> int:
    """Of the large matrices: no less than two of each layer, and the embeddings."""
    n = _numbers(config)
    layer = n["size"] * (n["size"] + 2 * n["inner"])
    return n["vocabulary"] * n["size"] + n["layers"] * layer


def model_bytes(config: Mapping[str, Any]) -> int:
    """Of a model in fp32, at least."""
    return FP32 * parameters(config) + _numbers(config)["layers"] * LAYER_BYTES


def lora_bytes(config: Mapping[str, Any], rank: int) -> int:
    """Of adapters in training, at least: one matrix of each layer has one."""
    n = _numbers(config)
    return TRAINED_BYTES * rank * 2 * n["size"] * max(1, n["layers"])

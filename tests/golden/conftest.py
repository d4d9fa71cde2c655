"""Tiny random models of the architectures that the methods are used with."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch

VOCABULARY = 31
EOS = 2
SPECIAL = [0, 1, EOS]

SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 24,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": EOS,
}
KINDS = {
    "llama": {"num_key_value_heads": 2},
    "gpt_neox": {},
    "mistral": {"num_key_value_heads": 2, "sliding_window": 8},
}


def build(kind: str, seed: int = 1, **more: Any) -> Any:
    """A random model of an architecture, with logits far enough apart to be exact."""
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(seed)
    config = AutoConfig.for_model(kind, **SHAPE, **KINDS.get(kind, {}), **more)
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            # At its initial scale a model of this size hardly looks at its context.
            if weight.dim() == 2 and "embed" not in name:
                weight.mul_(4)
        model.get_output_embeddings().weight.mul_(20)
    return model


@functools.cache
def built(kind: str, seed: int = 1) -> Any:
    """The same, made once: for tests that do not change it."""
    return build(kind, seed)


@pytest.fixture(scope="session", params=list(KINDS))
def model(request: pytest.FixtureRequest) -> Any:
    return built(request.param)

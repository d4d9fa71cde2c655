"""Tiny random models of the architectures that the methods are used with."""

from __future__ import annotations

import functools
from types import SimpleNamespace
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
OTHERS = {"mamba": {"state_size": 8}, "diffllama": {"num_key_value_heads": 2}}


def build(kind: str, seed: int = 1, **more: Any) -> Any:
    """A random model of an architecture, with logits far enough apart to be exact."""
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(seed)
    config = AutoConfig.for_model(
        kind, **SHAPE, **(KINDS | OTHERS).get(kind, {}), **more
    )
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


def words(size: int = VOCABULARY, template: str | None = None) -> Any:
    """A tokenizer whose tokens are their numbers, written with spaces; the control tokens 0,
    1 and EOS are written ``<0>``, ``<1>`` and ``<2>``."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = [f"<{number}>" for number in SPECIAL]
    names = [*special, *map(str, range(len(special), size))]
    core = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token=f"<{EOS}>",
        additional_special_tokens=special[:2],
        chat_template=template,
    )


class ByHand(torch.nn.Module):
    """A causal LM of ``vocabulary`` tokens, whose logits a test writes down."""

    def __init__(self, vocabulary: int) -> None:
        from transformers import AutoConfig

        super().__init__()
        self.config = AutoConfig.for_model("llama", vocab_size=vocabulary)
        self.embedding = torch.nn.Embedding(vocabulary, 1)
        self.device, self.dtype = torch.device("cpu"), torch.float32

    @property
    def base_model(self) -> Any:
        return self

    def get_input_embeddings(self) -> torch.nn.Module:
        return self.embedding

    get_output_embeddings = get_input_embeddings

    def logits(self, input_ids: torch.Tensor) -> torch.Tensor:
        """[rows, length, vocabulary] for [rows, length]."""
        raise NotImplementedError

    def forward(self, input_ids: torch.Tensor, use_cache: bool) -> Any:
        return SimpleNamespace(logits=self.logits(input_ids))


@pytest.fixture(scope="session", params=list(KINDS))
def model(request: pytest.FixtureRequest) -> Any:
    return built(request.param)

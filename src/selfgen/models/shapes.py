"""Shapes of published models: what a config of transformers needs to make one of random
weights, for benchmarks and plans that need no download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selfgen.core.errors import UserError


def _pythia(vocabulary: int, size: int, layers: int, heads: int) -> dict[str, Any]:
    return {
        "model_type": "gpt_neox",
        "max_position_embeddings": 2048,
        "vocab_size": vocabulary,
        "hidden_size": size,
        "intermediate_size": 4 * size,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
    }


SHAPES: dict[str, dict[str, Any]] = {
    "pythia-1b": _pythia(50304, 2048, 16, 8),
    "pythia-2.8b": _pythia(50304, 2560, 32, 32),
    "pythia-6.9b": _pythia(50432, 4096, 32, 32),
    "mistral-7b": {
        "model_type": "mistral",
        "vocab_size": 32000,
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "max_position_embeddings": 32768,
        "sliding_window": 4096,
    },
    "smollm2-135m": {
        "model_type": "llama",
        "vocab_size": 49152,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": True,
    },
}
"""``config.json`` of EleutherAI/pythia-{1b,2.8b,6.9b}-deduped, mistralai/Mistral-7B-v0.1 and
HuggingFaceTB/SmolLM2-135M, as far as it sets sizes; parameters are held against the published
counts in tests/unit/test_shapes.py."""


def build(name: str, seed: int = 0) -> Any:
    """A causal LM of that shape with random weights in fp32, on torch's default device.

    Raises:
        UserError: no such shape.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    if name not in SHAPES:
        raise UserError(f"shape: found {name!r}; allowed: {', '.join(SHAPES)}")
    special = {"pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0}
    torch.manual_seed(seed)
    config = AutoConfig.for_model(**SHAPES[name], **special)
    return AutoModelForCausalLM.from_config(config)


def write(name: str, out: Path) -> None:
    """A model of that shape in the folder ``out``, made where it is quickest, with a
    tokenizer whose words are the numbers of its tokens."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    from selfgen.models.loading import save

    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = build(name).cpu()
    words = {str(token): token for token in range(model.config.vocab_size)}
    core = Tokenizer(models.WordLevel(words))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token="0",  # noqa: S106 (a token of text)
        pad_token="0",  # noqa: S106
        chat_template="{% for turn in messages %}{{ turn.content }} {% endfor %}",
    )
    save(model, tokenizer, out)

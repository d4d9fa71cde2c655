"""Tiny random models of every causal LM class that the pinned transformers can build so."""

from __future__ import annotations

import inspect
import math
from typing import Any

import torch

VOCABULARY = 200

SMALL = {
    **{
        "vocab_size": VOCABULARY,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    },
    **dict.fromkeys(("hidden_size", "n_embd", "d_model", "word_embed_proj_dim"), 32),
    **dict.fromkeys(("attention_hidden_size", "lru_width", "mamba_d_ssm"), 32),
    **dict.fromkeys(("intermediate_size", "n_inner", "ffn_dim", "d_ff"), 64),
    **dict.fromkeys(("decoder_ffn_dim", "encoder_ffn_dim"), 64),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers"), 2),
    **{"decoder_layers": 2, "encoder_layers": 1},
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads"), 4),
    **dict.fromkeys(("decoder_attention_heads", "encoder_attention_heads"), 4),
    **{"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 8},
    **dict.fromkeys(("max_position_embeddings", "n_positions", "context_length"), 128),
    # Mixtures of experts
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "moe_k"), 2),
    **{"moe_intermediate_size": 16, "moe_num_experts": 4, "first_k_dense_replace": 1},
    **dict.fromkeys(("n_group", "topk_group"), 1),
    # Latent attention
    **{"q_lora_rank": 16, "kv_lora_rank": 8, "v_head_dim": 8},
    **{"qk_rope_head_dim": 4, "qk_nope_head_dim": 8},
    # State spaces and linear attention
    **dict.fromkeys(("state_size", "ssm_state_size", "mamba_d_state"), 8),
    **dict.fromkeys(("chunk_size", "mamba_chunk_size", "mamba_d_conv"), 4),
    **{"mamba_d_head": 8, "mamba_n_heads": 4, "mamba_n_groups": 1},
    **{"linear_num_key_heads": 2, "linear_num_value_heads": 4},
    **{"linear_key_head_dim": 8, "linear_value_head_dim": 8},
    **{"hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": VOCABULARY},
}
"""Sizes by the names that configurations give them."""

LATENT = {"num_key_value_heads": 4, "head_dim": 4}
MAMBA = {"mamba_n_heads": 8, "mamba_d_head": 8}

OWN: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("axk1", "axk2", "deepseek_v2", "deepseek_v3"), LATENT),
    **dict.fromkeys(("deepseek_v32", "glm4_moe_lite", "glm_moe_dsa"), LATENT),
    **dict.fromkeys(("longcat_flash", "minicpm3", "youtu", "dots3_note_text"), LATENT),
    **dict.fromkeys(("bamba", "granitemoehybrid"), MAMBA),
    **{kind: {"rotary_dim": 4} for kind in ("gptj", "codegen")},
    "mamba2": {"num_heads": 8, "n_groups": 1},
    **{kind: {"num_hidden_layers": 4} for kind in ("qwen3_5_text", "qwen3_next")},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": 8},
    "dots1": {"n_shared_experts": 1},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"], "num_dense_layers": 1},
    "reformer": {
        **{"is_decoder": True, "axial_pos_shape": (8, 16)},
        "axial_pos_embds_dim": (8, 24),
    },
    "zaya": {"num_experts_per_tok": 1},
    "roc_bert": {
        **{"pronunciation_vocab_size": 20, "shape_vocab_size": 20},
        **{"shape_embed_dim": 8, "pronunciation_embed_dim": 8},
    },
}
"""What a class wants beside."""

LARGEST = 3_000_000
"""Parameters; a class that does not get below cannot be built tiny."""


def build(kind: str, seed: int = 1, **more: Any) -> Any:
    """A random model of a model type, whose logits depend on its context.

    Raises ValueError where it does not get tiny, and what its class raises.
    """
    from transformers import AutoModelForCausalLM
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    kind_of = CONFIG_MAPPING[kind]
    names = {*kind_of().to_dict(), *kind_of.attribute_map}
    names |= set(inspect.signature(kind_of).parameters)
    small = {name: value for name, value in SMALL.items() if name in names}
    config = kind_of(**small | OWN.get(kind, {}) | more)
    with torch.device("meta"):
        size = AutoModelForCausalLM.from_config(config).num_parameters()
    if size > LARGEST:
        raise ValueError(f"{kind}: {size} parameters")
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config).float().eval()
    noise = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            # At its initial scale a model of this size hardly looks at its context; what
            # decays a state stays as it is.
            if weight.dim() < 2 or any(
                x in name for x in ("A_log", "dt_", "conv", "D")
            ):
                continue
            wide = "embed" in name or "lm_head" in name
            scale = 1.0 if wide else 1.6 / math.sqrt(weight.shape[-1])
            weight.copy_(torch.randn(weight.shape, generator=noise) * scale)
    return model

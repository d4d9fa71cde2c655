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

ZAMBA = {
    **{"num_hidden_layers": 3, "num_key_value_heads": 4},
    **{"attention_hidden_size": 64, "attention_head_dim": 16},
    "layers_block_type": ["linear_attention", "hybrid", "hybrid"],
}
INDEXER = {
    **{"indexer_n_heads": 2, "indexer_kv_heads": 1, "indexer_head_dim": 8},
    **{"indexer_budget": 8, "indexer_compress_ratio": 4},
}
ASSISTANT = SMALL | {
    **{"hidden_size_per_layer_input": 0, "vocab_size_per_layer_input": 0},
    "num_kv_shared_layers": 2,
}
LATENT = {"num_key_value_heads": 4, "head_dim": 4}
MAMBA = {"mamba_n_heads": 8, "mamba_d_head": 8}

OWN: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("axk1", "axk2", "deepseek_v2", "deepseek_v3"), LATENT),
    **dict.fromkeys(("deepseek_v32", "glm4_moe_lite", "glm_moe_dsa"), LATENT),
    **dict.fromkeys(("longcat_flash", "minicpm3", "youtu"), LATENT),
    "dots3_note_text": LATENT
    | {
        **{"swa_num_attention_heads": 4, "swa_num_key_value_heads": 4},
        **{"swa_q_lora_rank": 16, "swa_kv_lora_rank": 8, "swa_v_head_dim": 8},
        **{"swa_head_dim": 12, "swa_qk_nope_head_dim": 8},
    },
    **dict.fromkeys(("bamba", "granitemoehybrid"), MAMBA),
    **{kind: {"rotary_dim": 4} for kind in ("gptj", "codegen")},
    "mamba2": {"num_heads": 8, "n_groups": 1},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": 8},
    "dots1": {"n_shared_experts": 1},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"], "num_dense_layers": 1},
    "reformer": {
        **{"is_decoder": True, "axial_pos_shape": (8, 16)},
        "axial_pos_embds_dim": (8, 24),
    },
    **dict.fromkeys(("zamba", "zamba2"), ZAMBA),
    "dbrx": {
        "attn_config": {"kv_n_heads": 2, "rope_theta": 1e4, "clip_qkv": 8},
        "ffn_config": {"hidden_size": 32, "ffn_hidden_size": 16, "moe_top_k": 2},
    },
    "gemma3n_text": {
        **{"num_hidden_layers": 4, "num_kv_shared_layers": 2, "laurel_rank": 8},
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "activation_sparsity_pattern": [0.5, 0.0, 0.0, 0.0],
    },
    "bailing_hybrid": LATENT,
    "kimi_linear": LATENT | {"linear_head_dim": 8, "linear_num_heads": 4},
    "qwen4_exp_text": INDEXER,
    "minimax_m3_vl_text": {
        **{"index_block_size": 2, "index_topk_blocks": 2},
        "layer_types": ["full_attention", "minimax_m3_sparse"],
    },
    "cohere_compass_text": {
        "layer_types": ["sliding_attention", "full_attention"],
        "rope_parameters": {
            "sliding_attention": {
                **{"rope_type": "default", "rope_theta": 1e4},
                "mrope_section": [2, 1, 1],
            },
            "full_attention": None,
        },
    },
    **{
        kind: {
            "text_config": ASSISTANT | {"model_type": kind.replace("assistant", "text")}
        }
        for kind in ("gemma4_assistant", "gemma4_unified_assistant")
    },
    "dots3_note_vision_encoder": {"adapter_in_dim": 32, "adapter_out_dim": 32},
    "dots3_note_audio_encoder": {"adapter_input_size": 32, "adapter_out_dim": 32},
    "recurrent_gemma": {"block_types": ["recurrent", "attention"]},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "blt": {"encoder_hash_byte_group_vocab": 50},
    "blt_local_encoder": {"hidden_size_global": 32},
    "blt_local_decoder": {"hidden_size_global": 32},
    "phi4_multimodal_audio": {
        **{"num_blocks": 1, "nemo_conv_channels": 32, "ext_pw_out_channel": 32},
        **{"depthwise_separable_out_channel": 32, "input_size": 8},
    },
    "phi4_multimodal_vision": {"image_size": 28, "crop_size": 28},
    "got_ocr2_vision": {"image_size": 32, "mlp_dim": 32, "output_channels": 16},
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

    kind_of = _config_class(kind)
    config = kind_of(**_small(kind_of) | more)
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


def _small(kind_of: Any) -> dict[str, Any]:
    """Arguments of a small configuration of a class: sizes, a layer of each kind, parts."""
    wanted = set(inspect.signature(kind_of).parameters)
    names = {*wanted, *kind_of.attribute_map}
    own = OWN.get(kind_of.model_type, {})
    if kind_of.sub_configs_defaults:
        small = {name: value for name, value in SMALL.items() if name in names}
        return small | _small_parts(kind_of) | own
    full = kind_of()
    names |= set(full.to_dict())
    small = {name: value for name, value in SMALL.items() if name in names}
    kinds = {
        name: list(dict.fromkeys(found))
        for name in ("layer_types", "layers_block_type", "mlp_layer_types")
        if name in wanted and (found := getattr(full, name, None))
    }
    layers = max([2, *map(len, kinds.values())])
    if layers > 2:
        small["num_hidden_layers"] = layers
    small |= {
        name: [found[i % len(found)] for i in range(layers)]
        for name, found in kinds.items()
        if len(found) > 1
    }
    return small | own


def _small_parts(kind_of: Any) -> dict[str, Any]:
    """The same of the text, the images and the sounds of a class."""
    small = {}
    for name, part in kind_of.sub_configs_defaults.items():
        if not part.optional:
            known = part.model_type
            part_of = _config_class(known) if known else part.config_class
            small[name] = {"model_type": part_of.model_type} | _small(part_of)
    return small


def _config_class(kind: str) -> Any:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    return CONFIG_MAPPING[kind]

"""Models as ``from_pretrained`` reads them: loaded, placed on a device and saved."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from selfgen.core.errors import UserError
from selfgen.core.spec import Device

log = logging.getLogger(__name__)

SMALL_MODEL = 5_000_000
"""With fewer parameters fp32 is faster than bf16 on a CPU (measured)."""


def load(folder: Path) -> Any:
    """The causal LM in ``folder`` in fp32, on the CPU."""
    import torch
    from transformers import AutoModelForCausalLM

    if not (folder / "config.json").exists():
        raise UserError(f"{folder}: no model here (config.json is missing)")
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=torch.float32,
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
    )
    for key in ("logits_scaling", "logit_scale", "final_logit_softcapping"):
        if getattr(model.config, key, None) not in (None, 1.0):
            raise UserError(
                f"{folder}: models that rescale logits ({key}) are not read"
            )
    return model


def save(model: Any, tokenizer: Any, out: Path) -> None:
    """Weights and tokenizer as ``from_pretrained`` reads them."""
    model.save_pretrained(out, safe_serialization=True)
    tokenizer.save_pretrained(out)


def decoder(model: Any) -> Any:
    """The part of a causal LM below the vocabulary projection."""
    adapted = hasattr(model, "peft_config")
    return (model.get_base_model() if adapted else model).base_model


def place(spec: Device, parameters: int) -> tuple[str, str]:
    """``(device, precision)`` for a model with that number of parameters.

    Precision is ``fp32`` or ``bf16``; ``auto`` takes bf16 where the hardware multiplies it
    (CUDA with bf16, CPU with AMX) and the model is not tiny.
    """
    import torch

    device = spec.device
    if device == "auto":
        mps = torch.backends.mps.is_available()
        device = "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    elif device == "cuda" and not torch.cuda.is_available():
        raise UserError("device: found cuda, but torch sees no GPU; allowed: auto, cpu")
    precision = spec.precision
    if precision == "auto":
        fast = (device == "cuda" and torch.cuda.is_bf16_supported()) or (
            device == "cpu" and torch.cpu._is_amx_tile_supported()
        )
        precision = "bf16" if fast and parameters >= SMALL_MODEL else "fp32"
    log.info("device %s, precision %s", device, precision)
    return device, precision


def parameters(folder: Path) -> int:
    """Number of parameters of the causal LM in ``folder``; no weight is read."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config).num_parameters()


def load_for_generation(folder: Path, spec: Device) -> tuple[Any, str, str]:
    """``(model, device, precision)`` ready to generate: weights in the precision itself."""
    import torch

    model = load(folder)
    device, precision = place(spec, model.num_parameters())
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    return model.to(device=device, dtype=dtype).eval(), device, precision

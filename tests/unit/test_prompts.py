"""Text to ids: closed answers, cut prompts, the correction turn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from selfgen import models
from selfgen.data import prompts
from selfgen.data.wording import CHATML, CORRECTION
from selfgen.specs import ModelSpec, PromptSpec, UserError

SPEC = PromptSpec("Say it.\n\n{prompt}", CORRECTION, 400, 40)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shape = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    out = tmp_path_factory.mktemp("tiny")
    models.prepare(ModelSpec("random", None, CHATML, "llama", shape, 0), None, out)
    return out


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Any:
    return prompts.load_tokenizer(folder)


def test_random_model_is_whole(folder: Path, tokenizer: Any) -> None:
    names = {path.name for path in folder.iterdir()}
    assert "model.safetensors" in names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl"))]
    model = models.load(folder)
    assert model.config.eos_token_id == tokenizer.eos_token_id
    assert (
        tokenizer.decode(tokenizer("Ünïcode, 1 < 2")["input_ids"]) == "Ünïcode, 1 < 2"
    )


def test_answer_is_closed_by_eos(tokenizer: Any) -> None:
    ids = prompts.answer_ids(tokenizer, SPEC, "Yes.")
    assert ids[-1] == tokenizer.eos_token_id
    assert prompts.answer_text(tokenizer, ids) == "Yes."


def test_cut_answer_is_not_closed(tokenizer: Any) -> None:
    ids = prompts.answer_ids(tokenizer, SPEC, "y" * 60)
    assert len(ids) == 40
    assert tokenizer.eos_token_id not in ids


def test_long_prompt_keeps_its_template(tokenizer: Any) -> None:
    long = "word " * 300
    ids = prompts.prompt_ids(tokenizer, SPEC, long)
    text = tokenizer.decode(ids)
    assert 350 < len(ids) <= 400
    assert text.startswith("<|im_start|>user\nSay it.\n\nword word")
    assert text.endswith("<|im_end|>\n<|im_start|>assistant\n")
    with pytest.raises(UserError, match=r"max_prompt_tokens: the template alone takes"):
        prompts.prompt_ids(tokenizer, replace(SPEC, max_prompt_tokens=5), long)


@pytest.mark.parametrize("prompt", ["short", "word " * 300])
def test_correction_is_prompt_draft_turn(tokenizer: Any, prompt: str) -> None:
    first = prompts.prompt_ids(tokenizer, SPEC, prompt)
    ids = prompts.correction_ids(tokenizer, SPEC, prompt, "my draft")
    assert ids[: len(first)] == first, "the first turn is the prompt of direct answers"
    assert tokenizer.decode(ids[len(first) :]) == (
        f"my draft<|im_end|>\n<|im_start|>user\n{CORRECTION}<|im_end|>\n"
        "<|im_start|>assistant\n"
    )

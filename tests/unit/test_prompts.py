"""Text to ids: closed answers, cut prompts, the correction turn."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from selfgen.config.tasks import CORRECTION
from selfgen.core.errors import UserError
from selfgen.data import prompts
from selfgen.data.chat_templates import CHATML, PLAIN, ZEPHYR
from selfgen.data.prompts import PromptSpec
from selfgen.models import base, loading
from selfgen.models.base import ModelSpec

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
    base.prepare(ModelSpec("random", None, CHATML, "llama", shape, 0), None, out)
    return out


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Any:
    return prompts.load_tokenizer(folder)


def test_random_model_is_whole(folder: Path, tokenizer: Any) -> None:
    names = {path.name for path in folder.iterdir()}
    assert "model.safetensors" in names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl"))]
    model = loading.load(folder)
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


def test_a_template_that_changes_earlier_turns(tokenizer: Any) -> None:
    other = copy.deepcopy(tokenizer)
    other.chat_template = "{{ messages | length }} turns: " + CHATML
    assert prompts.prompt_ids(other, SPEC, "short")
    with pytest.raises(UserError, match="chat template: it changes earlier turns"):
        prompts.correction_ids(other, SPEC, "short", "my draft")


def test_a_post_loses_lines_and_then_characters() -> None:
    """A token a byte, so lengths can be counted: 17 bytes before
    the post, 8 after it, 13 of it."""
    folder_of = ModelSpec("random", None, PLAIN, "llama", {}, 0)
    _, tokenizer = base.create(
        replace(
            folder_of,
            architecture={
                "hidden_size": 8,
                "intermediate_size": 8,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
            },
        )
    )
    prompt = "SUBREDDIT:\nPOST: one\ntwo\nthree"
    whole = "SUBREDDIT:\nPOST: one\ntwo\nthree\n\nTL;DR:"
    kept = {38: "one\ntwo\nthree", 37: "one\ntwo", 32: "one\ntwo", 31: "one", 28: "one"}
    for most, post in {**kept, 27: "on", 25: ""}.items():
        spec = PromptSpec("{prompt}\n\nTL;DR:", "", most, 20, " ", "POST: ")
        ids = prompts.prompt_ids(tokenizer, spec, prompt)
        expected = whole.replace("one\ntwo\nthree", post)
        assert tokenizer.decode(ids) == expected
    spec = replace(spec, max_prompt_tokens=24)
    with pytest.raises(UserError, match="the template alone takes 25 tokens"):
        prompts.prompt_ids(tokenizer, spec, prompt)
    answer = prompts.answer_ids(tokenizer, spec, "Done.")
    assert tokenizer.decode(answer) == " Done.<|im_end|>"
    assert prompts.answer_text(tokenizer, answer) == "Done."
    spec = replace(spec, max_prompt_tokens=99, correction="Again:")
    ids = prompts.correction_ids(tokenizer, spec, prompt, "Draft.")
    assert tokenizer.decode(ids) == f"{whole} Draft.<|im_end|>\n\nAgain:"


def test_zephyr(tokenizer: Any) -> None:
    """The turns of alignment-handbook, an empty system message first."""
    other = copy.deepcopy(tokenizer)
    other.chat_template = ZEPHYR
    eos = other.eos_token
    spec = PromptSpec("{prompt}", "Again.", 400, 40)
    begin = f"<|system|>\n{eos}\n<|user|>\nHi{eos}\n<|assistant|>\n"
    assert other.decode(prompts.prompt_ids(other, spec, "Hi")) == begin
    ids = prompts.correction_ids(other, spec, "Hi", "Ho")
    assert other.decode(ids) == (
        f"{begin}Ho{eos}\n<|user|>\nAgain.{eos}\n<|assistant|>\n"
    )
    other.add_special_tokens({"bos_token": "<s>"})
    assert other.decode(prompts.prompt_ids(other, spec, "Hi")) == f"<s>{begin}"


def test_a_long_dialogue_loses_its_earliest_turns(tokenizer: Any) -> None:
    """By hand: ChatML in bytes. Each turn goes whole, the system's stays, words go last."""
    system = {"role": "system", "content": "Brief."}
    turns = [
        {"role": role, "content": f"{role[0]}{n}"}
        for n in (1, 2)
        for role in ("user", "assistant")
    ]
    spec = replace(SPEC, template="{prompt}")

    def text(max_tokens: int) -> str:
        small = replace(spec, max_prompt_tokens=max_tokens)
        ids = prompts.prompt_ids(tokenizer, small, "third one", [system, *turns])
        assert len(ids) <= max_tokens
        return tokenizer.decode(ids)

    def whole(*said: str) -> str:
        roles = {"u": "user", "a": "assistant", "B": "system", "t": "user"}
        body = (f"<|im_start|>{roles[x[0]]}\n{x}<|im_end|>\n" for x in said)
        return "".join(body) + "<|im_start|>assistant\n"

    longest = len(prompts.prompt_ids(tokenizer, spec, "third one", [system, *turns]))
    first = len(prompts.prompt_ids(tokenizer, spec, "third one", [system, *turns[2:]]))
    last = len(prompts.prompt_ids(tokenizer, spec, "third one", [system]))
    assert text(longest) == whole("Brief.", "u1", "a1", "u2", "a2", "third one")
    assert text(longest - 1) == whole("Brief.", "u2", "a2", "third one")
    assert text(first) == whole("Brief.", "u2", "a2", "third one")
    assert text(first - 1) == text(last) == whole("Brief.", "third one")
    assert text(last - 1) == whole("Brief.", "third")
    asked = prompts.correction_ids(
        tokenizer,
        replace(spec, max_prompt_tokens=first),
        "third one",
        "d",
        [system, *turns],
    )
    shown = whole("Brief.", "u2", "a2", "third one") + "d<|im_end|>\n"
    assert tokenizer.decode(asked).startswith(shown)

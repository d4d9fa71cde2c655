"""Several correction turns, written token by token by hand: each is shown the answer of the
turn before it, in the two turns of training, and no turn before that."""

from __future__ import annotations

import string
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from selfgen.core.spec import Device, Sampling
from selfgen.data.chat_templates import CHATML
from selfgen.data.prompts import PromptSpec, load_tokenizer
from selfgen.generation.answers import run_answers
from selfgen.generation.spec import AnswersSpec
from selfgen.models.base import ModelSpec, create
from selfgen.models.loading import load
from tests.golden.test_checked import SHAPE, greedy

TURN = "Again."
SPEC = AnswersSpec(
    "direct",
    ("test",),
    PromptSpec("{prompt}", TURN, 200, 8),
    Sampling(),
    0,
    Device("cpu", "fp32"),
)
LETTERS = string.ascii_letters + ".? \n"
USER, MODEL, END = "<|im_start|>user\n", "<|im_start|>assistant\n", "<|im_end|>\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of characters that looks at its context."""
    spec = ModelSpec("random", None, CHATML, "llama", SHAPE, 3, LETTERS)
    model, tokenizer = create(spec)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 2:
                weight.mul_(8)
    out = tmp_path_factory.mktemp("model")
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return out


def by_hand(folder: Path, text: str) -> str:
    """What the model writes greedily after a text, a token at a time."""
    model, tokenizer = load(folder), load_tokenizer(folder)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    end = tokenizer.eos_token_id
    banned = [i for i in tokenizer.all_special_ids if i != end]
    written: list[int] = []
    while len(written) < SPEC.prompt.max_answer_tokens and end not in written:
        written.append(greedy(model, [*ids, *written], banned))
    return str(tokenizer.decode([i for i in written if i != end])).strip()


def test_each_turn_reads_the_answer_of_the_one_before_it(folder: Path) -> None:
    records = [{"id": "a", "prompt": "bad?", "split": "test"}]
    rows: list[dict[str, Any]] = []
    texts = []
    for decoding in ("direct", "corrected", "corrected-2", "corrected-3"):
        rows = [
            *run_answers(records, rows, folder, replace(SPEC, decoding=decoding)).rows
        ]
        texts.append(rows[0]["text"])
    asked = f"{USER}bad?{END}{MODEL}"
    expected = [by_hand(folder, asked)]
    for _ in range(3):
        shown = f"{asked}{expected[-1]}{END}{USER}{TURN}{END}{MODEL}"
        expected.append(by_hand(folder, shown))
    assert texts == expected
    assert len({*texts}) == 4, "each reads another answer, and writes another"

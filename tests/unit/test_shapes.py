"""Shapes have the parameters of the models that they are named after."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from selfgen.core.errors import UserError
from selfgen.data.prompts import answer_text, load_tokenizer
from selfgen.models import shapes
from selfgen.models.loading import load

PARAMETERS = {
    "pythia-1b": (1_011_781_632, 805_736_448),
    "pythia-2.8b": (2_775_208_960, 2_517_652_480),
    "pythia-6.9b": (6_857_302_016, 6_444_163_072),
    "mistral-7b": (7_241_732_096, None),
    "smollm2-135m": (134_515_008, None),
}
"""All of them, and those outside the embeddings: the table in EleutherAI/pythia's README;
the others' from the sizes of their weights in bf16."""


@pytest.mark.parametrize("name", shapes.SHAPES)
def test_parameters(name: str) -> None:
    every, inner = PARAMETERS[name]
    with torch.device("meta"):
        model = shapes.build(name)
    assert model.num_parameters() == every
    if inner:
        embeddings = (model.get_input_embeddings(), model.get_output_embeddings())
        assert every - sum(e.weight.numel() for e in embeddings) == inner


def test_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    small = shapes.SHAPES["pythia-1b"] | tiny | {"vocab_size": 40}
    monkeypatch.setitem(shapes.SHAPES, "tiny", small)
    shapes.write("tiny", tmp_path)
    assert load(tmp_path).config.vocab_size == 40
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer("7 39")["input_ids"] == [7, 39]
    assert answer_text(tokenizer, [7, 39]) == "7 39"


def test_unknown() -> None:
    with pytest.raises(UserError, match=r"shape: found 'pythia'; allowed: pythia-1b, "):
        shapes.build("pythia")

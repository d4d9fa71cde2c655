"""Prepacked weights: the numbers of the model up to rounding, the same tokens."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from selfgen.core.spec import Device, Sampling
from selfgen.generation import free
from selfgen.generation.decoding import Prompt
from selfgen.models import loading, prepacking
from tests.golden.conftest import build, words
from tests.golden.test_forced import made, references, spec_of

pytestmark = pytest.mark.skipif(
    not prepacking.can_prepack("fp32"), reason="this machine prepacks nothing"
)
KINDS: dict[str, dict[str, Any]] = {
    "llama": {},
    "tied llama": {"tie_word_embeddings": True},
    "gpt_neox": {},
    "gpt2": {},
}
"""Heads of their own and the embedding's, with biases and without, and layers that are not
linear ones."""


def both(kind: str, dtype: torch.dtype) -> tuple[Any, Any]:
    name = kind.split()[-1]
    own, packed = (build(name, **KINDS[kind]).to(dtype) for _ in range(2))
    assert prepacking.prepack(packed, "fp32" if dtype is torch.float32 else "bf16")
    return own, packed


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_logits(kind: str, precision: str) -> None:
    if not prepacking.can_prepack(precision):
        pytest.skip(f"this CPU does not multiply {precision}")
    dtype, apart = {"fp32": (torch.float32, 1e-4), "bf16": (torch.bfloat16, 0.05)}[
        precision
    ]
    own, packed = both(kind, dtype)
    assert any(isinstance(layer, prepacking.Prepacked) for layer in packed.modules())
    assert packed.num_parameters() == own.num_parameters()
    for shape in ((1, 1), (1, 7), (3, 5), (40, 6)):
        ids = torch.randint(3, 20, shape, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            expected, found = own(ids).logits.float(), packed(ids).logits.float()
        scale = expected.abs().max()
        torch.testing.assert_close(found / scale, expected / scale, rtol=0, atol=apart)


@pytest.mark.parametrize("kind", KINDS)
def test_tokens(kind: str) -> None:
    prompts = [Prompt(str(n), 0, [3 + n, 4, 5 + n % 3]) for n in range(9)]
    found = []
    for model in both(kind, torch.float32):
        rows = free.run(
            model,
            words(),
            prompts,
            Sampling(temperature=1.0),
            seed=0,
            max_new_tokens=12,
            batch_size=4,
        )
        found.append([row["text"] for row in rows])
    assert found[0] == found[1]
    assert len({*found[0]}) >= 3


@pytest.mark.parametrize(
    ("kind", "engine"),
    [("forced", "sequential"), ("forced", "speculative"), ("onepass", "auto")],
)
def test_passes(kind: str, engine: str) -> None:
    rows, spec = references(13), spec_of(kind=kind)
    own, packed = (
        made(model, rows, spec, engine, batch_size=4)
        for model in both("llama", torch.float32)
    )
    assert own == packed


class Past(torch.nn.Module):
    """A head whose weight its model takes past it, or which gives something else."""

    def __init__(self, head: torch.nn.Linear, past: bool) -> None:
        super().__init__()
        self.head, self.past, self.calls = head, past, 0

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self.past:
            return torch.nn.functional.linear(states, self.head.weight)
        return self.head(states) * self.calls


@pytest.mark.parametrize("past", [True, False], ids=["weight past it", "other logits"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_model_that_reads_otherwise_stays_as_it_was(
    past: bool, precision: str
) -> None:
    if not prepacking.can_prepack(precision):
        pytest.skip(f"this CPU does not multiply {precision}")
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    own, model = (build("gpt_neox").to(dtype) for _ in range(2))
    model.lm_head = Past(model.lm_head, past)
    assert not prepacking.prepack(model, precision)
    assert not any(isinstance(layer, prepacking.Prepacked) for layer in model.modules())
    model.lm_head = model.lm_head.head
    for (name, found), expected in zip(
        model.state_dict().items(), own.state_dict().values(), strict=True
    ):
        assert torch.equal(found, expected), name
    model(torch.tensor([[3, 4, 5]])).logits.sum().backward()  # it can be trained


@pytest.mark.parametrize("kind", KINDS)
def test_no_matrix_is_held_twice(kind: str) -> None:
    own, packed = both(kind, torch.float32)
    embedded = packed.get_input_embeddings()
    layers = [x for x in packed.modules() if isinstance(x, prepacking.Prepacked)]
    held = [layer for layer in layers if not layer.weight.is_meta]
    assert [layer.weight is embedded.weight for layer in held] == [True] * len(held)
    assert len(held) == (
        own.get_output_embeddings().weight is own.get_input_embeddings().weight
    )


def test_what_is_loaded_to_generate_is_prepacked_where_it_pays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = build("llama")
    model.save_pretrained(tmp_path)

    def prepacked(**more: Any) -> bool:
        where = Device("cpu", "fp32")
        made, *_ = loading.load_for_generation(tmp_path, where, **more)
        return any(isinstance(layer, prepacking.Prepacked) for layer in made.modules())

    assert not prepacked()  # too small
    monkeypatch.setattr(loading, "SMALL_MODEL", 1)
    with caplog.at_level(logging.INFO):
        assert prepacked()
    assert "prepacked for this CPU" in caplog.text
    assert not prepacked(prepacks=False)

"""How a model is read is found by trying: equal to its plain forward, or another way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from selfgen.core.errors import UserError
from selfgen.core.spec import Sampling
from selfgen.generation import engines
from selfgen.generation.sampling import Sampler
from selfgen.generation.sequential import Alone
from selfgen.models import probe, rope
from selfgen.models.reader import Reader, plain_logits
from tests.families import VOCABULARY, build

ROWS = [
    [int(x) for x in torch.randint(3, VOCABULARY, (n,), generator=noise)]
    for noise in [torch.Generator().manual_seed(5)]
    for n in (17, 4, 1, 9)
]

FAMILIES = {
    "llama": "flat",
    "qwen3": "flat",
    "gemma2": "padded",
    "gemma3_text": "flat",
    "granite": "flat",
    "cohere": "flat",
    "phi3": "flat",
    "gpt2": "flat",
    "opt": "flat",
    "deepseek_v3": "flat",
    "diffllama": "flat",
    "mamba2": "padded",
    "falcon_h1": "padded",
    "qwen3_5_text": "padded",
    "phimoe": "padded",
    "llama4_text": "padded",
    "modernbert-decoder": "flat",
}
"""The way in which each is read; ``docs/models.md`` has them all."""


@pytest.fixture(autouse=True)
def no_verdicts() -> Iterator[None]:
    """Each test tries anew."""
    probe.verdicts.clear()
    probe._exact.clear()
    yield
    probe.verdicts.clear()
    probe._exact.clear()


@pytest.mark.parametrize("kind", FAMILIES)
def test_logits_loss_and_gradients_are_those_of_the_plain_forward(kind: str) -> None:
    model = build(kind)
    rows = [torch.tensor(row) for row in ROWS]
    expected = [plain_logits(model, row) for row in rows]
    loss = sum(
        cross_entropy(x[:-1], row[1:], reduction="sum")
        for x, row in zip(expected, rows, strict=True)
    )
    loss.backward()
    wanted = {
        n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None
    }
    model.zero_grad()

    reader = probe.reader(model, gradients=True)
    assert reader.way == FAMILIES[kind]
    lengths = [len(row) for row in rows]
    logits = reader.logits(reader.states(torch.cat(rows), lengths)).split(lengths)
    for found, plain in zip(logits, expected, strict=True):
        torch.testing.assert_close(found, plain, rtol=1e-4, atol=1e-4)
    own = sum(
        cross_entropy(x[:-1], row[1:], reduction="sum")
        for x, row in zip(logits, rows, strict=True)
    )
    torch.testing.assert_close(own, loss, rtol=1e-5, atol=1e-4)
    own.backward()
    for name, parameter in model.named_parameters():
        if name in wanted:
            found = (
                torch.zeros_like(parameter)
                if parameter.grad is None
                else parameter.grad
            )
            torch.testing.assert_close(found, wanted[name], rtol=1e-3, atol=1e-3)


class Hook(torch.nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


def test_a_model_that_reads_ahead_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"BertLMHeadModel reads ahead: .*causal models"
    ):
        probe.reader(build("bert"))
    with pytest.raises(UserError, match="XmodForCausalLM cannot read a row of tokens"):
        probe.reader(build("xmod"))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_no_numbers_are_refused(value: float) -> None:
    model = build("llama")
    model.lm_head.weight.data[7] = value
    with pytest.raises(
        UserError, match="the logits of LlamaForCausalLM are not finite"
    ):
        probe.reader(model)


def dynamic(**rope_parameters: Any) -> Any:
    own = {"rope_theta": 1e4, "factor": 4.0, **rope_parameters}
    return build("llama", max_position_embeddings=16, rope_parameters=own)


@pytest.mark.parametrize(
    "model",
    [
        dynamic(rope_type="dynamic"),
        dynamic(
            rope_type="longrope",
            **{"short_factor": [1.0] * 4, "long_factor": [3.0] * 4},
            original_max_position_embeddings=16,
        ),
    ],
)
def test_frequencies_of_a_row_are_its_own(model: Any) -> None:
    """Rows of 40, 9, 24 and 16 tokens: alone, together, and after one another."""
    assert rope.longest_alike(model) == 16
    assert rope.longest_alike(build("llama")) is None
    rows = [
        torch.randint(3, VOCABULARY, (n,), generator=torch.Generator().manual_seed(n))
        for n in (40, 9, 24, 16)
    ]
    expected = [plain_logits(model, row) for row in rows]
    for row, plain in zip(reversed(rows), reversed(expected), strict=True):
        torch.testing.assert_close(plain_logits(model, row), plain)
    reader = probe.reader(model)
    assert reader.way == "flat"
    lengths = [len(row) for row in rows]
    logits = reader.logits(reader.states(torch.cat(rows), lengths)).split(lengths)
    for found, plain in zip(logits, expected, strict=True):
        torch.testing.assert_close(found, plain, rtol=1e-4, atol=1e-4)


def test_an_adapter_of_virtual_tokens_is_read_whole() -> None:
    from peft import PrefixTuningConfig, get_peft_model

    config = PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)
    model = get_peft_model(build("llama"), config).eval()
    for parameter in model.prompt_encoder.parameters():
        parameter.data.normal_()
    reader = probe.reader(model)
    assert reader.way == "whole"
    row = torch.tensor(ROWS[0])
    found = reader.logits(reader.states(row, [len(row)]))
    torch.testing.assert_close(found, plain_logits(model, row))
    with model.disable_adapter():
        assert not torch.allclose(found, plain_logits(model, row), atol=1e-2)


def test_a_verdict_is_kept_for_models_alike() -> None:
    first, second = build("llama"), build("llama", seed=2)
    probe.reader(first)
    assert len(probe.verdicts.known) == 1
    assert isinstance(probe.reader(second), Reader)
    assert len(probe.verdicts.known) == 1
    probe.reader(build("llama", num_hidden_layers=1))
    assert len(probe.verdicts.known) == 2


def test_attention_drops_out_in_flat_training_too() -> None:
    """The mean of many losses with half of the attention left out is that of the plain
    forward, and is not the loss without dropout."""

    def losses(flat: bool, share: float) -> torch.Tensor:
        model = build("llama", attention_dropout=share).train()
        row = torch.tensor(ROWS[0])
        reader = probe.reader(model) if flat else None
        torch.manual_seed(0)
        found = []
        with torch.no_grad():
            for _ in range(400):
                logits = (
                    reader.logits(reader.states(row, [len(row)]))
                    if reader
                    else plain_logits(model, row)
                )
                found.append(cross_entropy(logits[:-1], row[1:]))
        assert not flat or reader.way == "flat"
        return torch.stack(found)

    flat, plain, none = losses(True, 0.5), losses(False, 0.5), losses(True, 0.0)
    assert none.std() < 1e-5
    error = float((flat.var() / len(flat) + plain.var() / len(plain)).sqrt())
    assert abs(float(flat.mean() - plain.mean())) < 4 * error
    assert abs(float(flat.mean() - none.mean())) > 4 * error
    assert float(flat.std() / plain.std()) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("kind", ["olmoe", "phimoe", "mistral", "gemma3_text"])
def test_windows_that_are_longer_than_the_probe_are_tried_all_the_same(
    kind: str,
) -> None:
    """Rows of 60 and 35 tokens with a window of 20, which the probe's rows do not reach."""
    model = build(kind, sliding_window=20)
    rows = [
        torch.randint(3, VOCABULARY, (n,), generator=torch.Generator().manual_seed(n))
        for n in (60, 35)
    ]
    expected = [plain_logits(model, row) for row in rows]
    reader = probe.reader(model)
    assert model.config.sliding_window == 20
    logits = reader.logits(reader.states(torch.cat(rows), [60, 35])).split([60, 35])
    for found, plain in zip(logits, expected, strict=True):
        torch.testing.assert_close(found, plain, rtol=1e-3, atol=1e-3)


def test_blocks_that_are_longer_than_the_probe_are_tried_all_the_same() -> None:
    """MiniMax M3 selects blocks of 128 keys, which padding on the left would shift; Reformer
    hashes rows of more than 64 tokens at random."""
    kinds = ["full_attention", "minimax_m3_sparse"]
    sizes = {"index_block_size": 128, "index_topk_blocks": 16}
    model = build("minimax_m3_vl_text", layer_types=kinds, **sizes)
    engine = engines.stepwise(probe.reader(model), Sampler(Sampling()))
    assert isinstance(engine, Alone)
    indexer = model.model.layers[1].self_attn.indexer
    assert (indexer.block_size, indexer.topk_blocks) == (128, 16)
    with pytest.raises(UserError, match="ReformerModelWithLMHead reads ahead"):
        probe.reader(build("reformer"))


def test_a_model_that_embeds_more_tokens_than_it_draws_is_trained() -> None:
    """Those of images and sounds, which no row of the head stands for."""
    model = build("mllama")
    assert len(model.get_input_embeddings().weight) > len(model.lm_head.weight)
    assert probe.reader(model, gradients=True).way == "flat"


def test_a_wrapper_of_the_decoder_stays() -> None:
    model = build("llama")
    calls = []
    plain = model.model.forward
    model.model.forward = lambda *a, **k: calls.append(1) or plain(*a, **k)
    wrapper = model.model.forward
    probe.reader(model)
    assert model.model.forward is wrapper and calls


def test_positions_behind_the_padding_are_counted() -> None:
    """RoBERTa's embeddings are for 128 positions, the first two of which are padding's."""
    model = build("roberta", is_decoder=True, pad_token_id=1)
    reader = probe.reader(model)
    row = torch.arange(3, 3 + reader.positions)
    assert reader.states(row, [len(row)]).shape[0] == len(row)
    with pytest.raises(UserError, match="has positions for 126"):
        reader.states(torch.arange(3, 130), [127])


@pytest.mark.parametrize("kind", ["gpt2", "codegen", "gptj", "ctrl"])
def test_a_row_beyond_the_positions_is_refused(kind: str) -> None:
    """Those of embeddings, and those of a table."""
    reader = probe.reader(build(kind))
    assert reader.states(torch.arange(128) % 190, [128]).isfinite().all()
    with pytest.raises(UserError, match=r"a row of 129 tokens, .* positions for 128;"):
        reader.states(torch.arange(129) % 190, [129])


def test_a_head_may_rule_tokens_out() -> None:
    """Padded rows of a head whose logits are minus infinity are no fault of the model."""
    model = build("llama", attention_bias=True)
    mask = torch.zeros(VOCABULARY)
    mask[-5:] = -torch.inf
    model.lm_head = torch.nn.Sequential(model.lm_head, Hook(lambda x: x + mask))
    model.lm_head.weight = model.lm_head[0].weight
    reader = probe.reader(model)
    assert reader.way == "flat"
    row = torch.tensor(ROWS[0])
    found = reader.logits(reader.states(row, [len(row)]))
    torch.testing.assert_close(found, plain_logits(model, row), rtol=1e-4, atol=1e-4)


def test_a_verdict_is_kept_for_later_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is worth nothing where it is broken, or another model's."""
    monkeypatch.setenv("SELFGEN_CACHE", str(tmp_path))

    def read(kind: str) -> tuple[str, bool]:
        """The way, and whether the model was tried."""
        probe.verdicts.clear()
        probe._exact.clear()
        model, calls = build(kind), []
        model.register_forward_hook(lambda *_: calls.append(1))
        return probe.reader(model).way, bool(calls)

    assert read("bloom") == ("padded", True)
    (kept,) = tmp_path.glob("verdicts/*.json")
    assert read("bloom") == ("padded", False)
    said = json.loads(kept.read_text())
    for broken in ("", "[]", "{", json.dumps(said | {"key": "another model"})):
        kept.write_text(broken)
        assert read("bloom") == ("padded", True)
        assert json.loads(kept.read_text())["key"] == said["key"]
    assert read("mpt") == ("padded", True)
    monkeypatch.setenv("SELFGEN_CACHE", str(kept))  # a file, in which nothing can stand
    assert read("bloom") == ("padded", True)

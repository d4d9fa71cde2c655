"""The instrument on models whose exposure bias is known exactly: chains, which read the last
token alone, and one that copies it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from selfgen.core.spec import Sampling
from selfgen.data.examples import Example
from selfgen.data.prompts import PromptSpec, load_tokenizer
from selfgen.generation import ends, free
from selfgen.generation.decoding import Prompt
from selfgen.measures.base import interval
from selfgen.measures.reading import Instrument, read_prompts
from selfgen.measures.registry import MEASURES
from selfgen.measures.spec import LENGTH, MeasureSpec
from selfgen.models import loading
from tests.tiny import tiny

BY_NAME = {measure.name: measure for measure in MEASURES}
PROMPT = [70, 71, 72]
PROMPTS = 192
SPEC = MeasureSpec(PromptSpec("{prompt}", "", 64, LENGTH))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("model"), tie_word_embeddings=False)


def chain(folder: Path, seed: int) -> Any:
    """A model that reads the last token alone: no attention gets through."""
    model = loading.load(folder)
    torch.manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.normal_(0, 0.3)
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight[0] = 0
        model.get_input_embeddings().weight[:, 0] = 2.0
    return model.eval()


def biased(oracle: Any) -> Any:
    """The oracle, but that it draws half of the tokens more often, and knows less after
    these: so its errors are larger after its own tokens."""
    model = copy.deepcopy(oracle)
    torch.manual_seed(5)
    some = torch.arange(0, model.config.vocab_size, 2)
    with torch.no_grad():
        into = model.get_input_embeddings().weight
        into[some, 1:] += 0.6 * torch.randn(len(some), into.shape[1] - 1)
        # The first number is above 0 after every token.
        model.get_output_embeddings().weight[some, 0] += 1.0
    return model


def next_tokens(model: Any) -> torch.Tensor:
    """Log-probabilities of the next token by the last one: [vocabulary, vocabulary]."""
    ids = torch.arange(model.config.vocab_size)
    with torch.no_grad():
        return model(ids[:, None]).logits[:, 0].double().log_softmax(-1)


def summed(error: torch.Tensor, walks: torch.Tensor) -> float:
    """The sum over steps of the mean error of a walk that begins behind the prompt."""
    at = torch.zeros(len(error), dtype=torch.double)
    at[PROMPT[-1]] = 1
    total = 0.0
    for _ in range(LENGTH):
        total += float(at @ error)
        at = at @ walks
    return total


def expected(model: Any, oracle: Any, words: Any) -> tuple[float, float]:
    """R and G: the error KL(oracle || model) after each token, along walks of the model and
    of the oracle, which draw no control token and do not end."""
    own, other = next_tokens(model), next_tokens(oracle)
    error = (other.exp() * (other - own)).sum(-1)
    never = [*ends.banned(model, words), *ends.stops(model, words)]
    walks = []
    for table in (own, other):
        drawn = table.clone()
        drawn[:, never] = -torch.inf
        walks.append(drawn.softmax(-1))
    return summed(error, walks[0]), summed(error, walks[1])


def told(model: Any, oracle: Any, words: Any) -> list[dict[str, Any]]:
    """What is read where the oracle wrote the references."""
    ids = [str(n) for n in range(PROMPTS)]
    made = free.complete(
        oracle,
        words,
        [Prompt(i, 0, PROMPT) for i in ids],
        Sampling(temperature=1.0),
        seed=0,
        max_new_tokens=LENGTH,
        ends_turns=False,
    )
    references = {prompt.id: list(answer) for prompt, answer in made}
    examples = [Example(i, "", list(PROMPT), references[i]) for i in ids]
    records = [{"id": i, "prompt": "", "reference": ""} for i in ids]
    tokens = list(range(model.config.vocab_size))
    own = Instrument(model, words, SPEC, examples, oracle, tokens)
    return read_prompts(own, examples, records)


@pytest.mark.parametrize("swapped", [False, True])
def test_chains_give_their_errors_back(folder: Path, swapped: bool) -> None:
    """Through generation and reading, against sums over all tokens; with model and oracle
    swapped each is the other's truth, and the bias goes the other way."""
    words, oracle = load_tokenizer(folder), chain(folder, 2)
    pair = (biased(oracle), oracle)
    model, oracle = pair[::-1] if swapped else pair
    free_error, gold_error = expected(model, oracle, words)
    rows = {0: {row["id"]: row for row in told(model, oracle, words)}}
    truth = {"r_fixed": free_error, "g_fixed": gold_error}
    truth["gap_fixed"] = free_error - gold_error
    truth["ex_acc_err_fixed"] = 100 * (free_error / gold_error - 1)
    for name, value in truth.items():
        found = interval(BY_NAME[name], rows, 0.99)
        assert found is not None and found.low <= value <= found.high, name
        # An instrument that shows nothing would hold anything, too.
        assert found.low > 0 or swapped
    assert (truth["gap_fixed"] < 0) == swapped


def test_a_model_that_copies_never_recovers_by_itself(folder: Path) -> None:
    """It copies the last token of the prompt for ever; after the reference's, one token
    repeated, it is wrong at the first of them alone. A planted token costs at lag 1."""
    words, model = load_tokenizer(folder), loading.load(folder)
    torch.manual_seed(0)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        embedded = model.get_input_embeddings().weight
        embedded.copy_(10 * torch.nn.functional.normalize(torch.randn(embedded.shape)))
        model.get_output_embeddings().weight.copy_(embedded)
    model.eval()
    n = LENGTH + 8
    examples = [Example(str(i), "", list(PROMPT), [80 + i] * n) for i in range(6)]
    records = [{"id": e.id, "prompt": "", "reference": ""} for e in examples]
    asked = MeasureSpec(PromptSpec("{prompt}", "", 64, n))
    read = read_prompts(Instrument(model, words, asked, examples), examples, records)
    for row in read:
        assert row["answer_ids"] == [PROMPT[-1]] * n
        assert row["free_wrong"] == [True] * n
        assert row["forced_wrong"] == [True] + [False] * (n - 1)
        effect = row["planted_random"]
        assert effect[0] > 10 and max(map(abs, effect[1:])) < 1e-3
    rows = {0: {row["id"]: row for row in read}}
    for name, value in {
        "excess": (n - 1) / n,
        "recovery": 0.0,
        "first_wrong": 0.0,
        "planted_random_recovered": 1.0,
        "planted_random_half_life": 0.0,
    }.items():
        found = interval(BY_NAME[name], rows, 0.95)
        assert found is not None and found.value == pytest.approx(value, abs=1e-3), name

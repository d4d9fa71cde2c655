"""The instrument on models whose exposure bias is known exactly: chains, which read the last
token alone, such as one that copies it. Where their answers end, they end at other places on
easy and on hard prompts, and so do those of the oracle."""

from __future__ import annotations

import copy
from collections.abc import Sequence
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
ASKED = [PROMPT] * PROMPTS
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


def told(
    model: Any,
    oracle: Any,
    words: Any,
    asked: Sequence[list[int]] = ASKED,
    ends_turns: bool = False,
) -> list[dict[str, Any]]:
    """What is read where the oracle wrote the references, by draws of its own."""
    ids = [str(n) for n in range(len(asked))]
    made = free.complete(
        oracle,
        words,
        [Prompt(i, 0, ask) for i, ask in zip(ids, asked, strict=True)],
        Sampling(temperature=1.0),
        seed=1,
        max_new_tokens=LENGTH,
        ends_turns=ends_turns,
    )
    references = {prompt.id: list(answer) for prompt, answer in made}
    examples = [
        Example(i, "", list(ask), references[i])
        for i, ask in zip(ids, asked, strict=True)
    ]
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


# Answers that end: two kinds of tokens, which hardly ever follow each other, so that easy and
# hard prompts stay what they are.

EASY, HARD = [70, 71, 72], [70, 71, 74]
ENDING = [EASY, HARD] * 48


def kinds(model: Any) -> torch.Tensor:
    """1 of easy tokens, -1 of hard ones."""
    return torch.where(torch.arange(model.config.vocab_size) % 4 < 2, 1.0, -1.0)


def ending(folder: Path, words: Any, easy: float, hard: float, alike: bool) -> Any:
    """A chain that ends after a token of a kind with about such a probability. ``alike``: all
    tokens of a kind are followed by the same."""
    model = chain(folder, 2)
    kind = kinds(model)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.mlp.down_proj.weight.zero_()
        into, out = (
            table.weight
            for table in (model.get_input_embeddings(), model.get_output_embeddings())
        )
        into[:, 1] = 2 * kind
        out[:, 1] = 6 * kind
        if alike:
            into[:, 2:] = torch.where(
                kind[:, None] > 0, into[EASY[-1], 2:], into[HARD[-1], 2:]
            )
        (stop,) = ends.stops(model, words)
        out[stop] = 0
        odds = next_tokens(model)
        rest = odds.index_fill(1, torch.tensor([stop]), -torch.inf).logsumexp(-1)
        base = odds[:, stop] - rest
        # Both of the first two numbers are 2 or -2, over the size of all of them.
        size = into.square().mean(-1).sqrt()
        wanted = [
            float(torch.logit(torch.tensor(p)) - base[last]) * float(size[last]) / 2
            for p, last in ((easy, EASY[-1]), (hard, HARD[-1]))
        ]
        out[stop, 0], out[stop, 1] = sum(wanted) / 2, (wanted[0] - wanted[1]) / 2
    return model


def worse_where_hard(model: Any, words: Any) -> Any:
    """It draws others of the hard tokens than the oracle."""
    torch.manual_seed(5)
    hard = [n for n, kind in enumerate(kinds(model)) if kind < 0]
    with torch.no_grad():
        out = model.get_output_embeddings().weight
        kept = out[[*ends.stops(model, words)]].clone()
        out[hard, 2:] += 0.3 * torch.randn(len(hard), out.shape[1] - 2)
        out[[*ends.stops(model, words)]] = kept
    return model


def worse_after_its_own(model: Any, words: Any) -> Any:
    """It draws half of the tokens more often, after which it knows less, as ``biased``, and
    keeps kinds apart."""
    torch.manual_seed(6)
    stops = ends.stops(model, words)
    some = [n for n in range(0, model.config.vocab_size, 2) if n not in stops]
    with torch.no_grad():
        into = model.get_input_embeddings().weight
        into[some, 2:] += 0.3 * torch.randn(len(some), into.shape[1] - 2)
        model.get_output_embeddings().weight[some, 0] += 0.7
    return model


def alive(model: Any, words: Any, last: int) -> list[torch.Tensor]:
    """The probability of each last token before each step, of answers that have not ended."""
    table = next_tokens(model)
    stops = sorted(ends.stops(model, words))
    table[:, ends.banned(model, words, but=frozenset(stops))] = -torch.inf
    walk = table.softmax(-1)
    walk[:, stops] = 0
    at = torch.zeros(len(walk), dtype=torch.double)
    at[last] = 1
    found = []
    for _ in range(LENGTH):
        found.append(at)
        at = at @ walk
    return found


def closed_form(
    model: Any, oracle: Any, words: Any, *, paired: bool
) -> tuple[float, float]:
    """R and G: of each step the mean over both kinds of prompts of the error on contexts that
    have not ended. ``paired``: a prompt counts as often as neither of its texts has ended,
    which are independent draws; else on each side as often as that side's has not."""
    own, other = next_tokens(model), next_tokens(oracle)
    error = (other.exp() * (other - own)).sum(-1)
    laws = {
        last: [alive(m, words, last) for m in (model, oracle)]
        for last in (EASY[-1], HARD[-1])
    }
    sums = [0.0, 0.0]
    for step in range(LENGTH):
        for side in (0, 1):
            total = weights = 0.0
            for law in laws.values():
                lasting = [float(law[k][step].sum()) for k in (0, 1)]
                weight = lasting[0] * lasting[1] if paired else lasting[side]
                at = law[side][step]
                total += weight * float(at @ error) / float(at.sum())
                weights += weight
            sums[side] += total / weights
    return sums[0], sums[1]


def test_ended_answers_of_other_lengths_give_their_errors_back(folder: Path) -> None:
    """Answers to easy prompts end early, and the model is worse after its own tokens."""
    words = load_tokenizer(folder)
    oracle = ending(folder, words, 0.003, 0.003, alike=False)
    model = ending(folder, words, 0.3, 0.004, alike=False)
    model = worse_after_its_own(worse_where_hard(model, words), words)
    rows = {0: {row["id"]: row for row in told(model, oracle, words, ENDING, True)}}
    free_error, gold_error = closed_form(model, oracle, words, paired=True)
    truth = {"r_free": free_error, "g_free": gold_error}
    truth["gap_free"] = free_error - gold_error
    truth["ex_acc_err_free"] = 100 * (free_error / gold_error - 1)
    for name, value in truth.items():
        found = interval(BY_NAME[name], rows, 0.99)
        assert found is not None and 0 < found.low <= value <= found.high, name
    # Where each side counts the prompts whose text it still has, the gap is another one.
    free_error, gold_error = closed_form(model, oracle, words, paired=False)
    found = interval(BY_NAME["gap_free"], rows, 0.99)
    assert found is not None and not found.low <= free_error - gold_error <= found.high


def test_equal_errors_are_no_bias_however_long_answers_are(folder: Path) -> None:
    """Its errors depend on the kind of the prompt alone, which both contexts are of."""
    words = load_tokenizer(folder)
    oracle = ending(folder, words, 0.003, 0.003, alike=True)
    model = ending(folder, words, 0.1, 0.003, alike=True)
    model = worse_where_hard(model, words)
    rows = {0: {row["id"]: row for row in told(model, oracle, words, ENDING, True)}}
    free_error, gold_error = closed_form(model, oracle, words, paired=False)
    assert free_error - gold_error > 1
    free_error, gold_error = closed_form(model, oracle, words, paired=True)
    assert free_error == pytest.approx(gold_error, abs=1e-3) and gold_error > 1
    for name in ("gap_free", "ex_acc_err_free"):
        found = interval(BY_NAME[name], rows, 0.95)
        assert found is not None and found.value == pytest.approx(0, abs=1e-3), name


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

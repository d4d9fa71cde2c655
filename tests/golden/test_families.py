"""Every causal LM class of transformers that gets tiny: decoded as its plain forward, by
whichever engine is right, or refused in one line; ``docs/models.md`` shows how each is."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch

from selfgen.core.errors import UserError
from selfgen.core.spec import Device, Sampling
from selfgen.data.chat_templates import CHATML
from selfgen.data.prompts import PromptSpec, prompt_ids
from selfgen.generation import engines, forced, free, trial
from selfgen.generation.decoding import Prompt, Request
from selfgen.generation.sampling import Sampler
from selfgen.generation.spec import PassSpec
from selfgen.generation.speculative import Cost, Speculative
from selfgen.models import probe
from selfgen.models.reader import Reader
from tests.families import VOCABULARY, build
from tests.unit.test_turns import IM, tokenizer

BANNED, EOS = [0, 1], 2

DECODED = {
    "llama": ("flat", "sequential", True),
    "gemma3_text": ("flat", "sequential", True),
    "gemma2": ("padded", "sequential", False),
    "deepseek_v3": ("flat", "sequential", True),
    "minicpm3": ("flat", "sequential", True),
    "diffllama": ("flat", "sequential", True),
    "falcon_h1": ("padded", "alone", False),
    "mamba": ("padded", "uncached", False),
    "rwkv": ("padded", "uncached", False),
    "opt": ("flat", "sequential", True),
    "phimoe": ("padded", "sequential", False),
    "llama4_text": ("padded", "sequential", False),
}


def rows(seed: int = 3) -> list[list[int]]:
    stream = torch.Generator().manual_seed(seed)
    return [
        torch.randint(3, VOCABULARY, (n,), generator=stream).tolist()
        for n in (9, 4, 12, 1, 6)
    ]


@torch.no_grad()
def greedy(
    model: Any, prompt: list[int], given: list[int], drawn: set[int], stop: int = -1
) -> list[int]:
    """Token by token, one row, no cache, nothing of selfgen."""
    made: list[int] = []
    for t, token in enumerate(given):
        if t in drawn:
            ids = torch.tensor([[*prompt, *made]])
            logits = model(input_ids=ids, use_cache=False).logits[0, -1].clone()
            logits[BANNED] = -math.inf
            token = int(logits.argmax())
        made.append(token)
        if token == stop:
            break
    return made


def admitted(reader: Reader) -> tuple[str, str, bool]:
    """How rows are read, the engine of a pass a token, and whether the speculative one is
    right."""
    stepwise = type(engines.stepwise(reader, Sampler(Sampling()))).__name__.lower()
    engine = partial(Speculative, cost=Cost(64.0, 0.0))
    speculates = trial.is_right(reader, "speculative", engine)
    return reader.way, stepwise, reader.way == "flat" and speculates


@pytest.mark.parametrize("kind", DECODED)
def test_answers_and_mixed_rows_equal_a_plain_loop(kind: str) -> None:
    model = build(kind)
    prompts, answers = rows(), [row[:1] * 3 + row[1:6] for row in rows(4)]
    mixed = [{1, 2, 4} & set(range(len(answer))) for answer in answers]
    free = [greedy(model, p, [3] * 8, set(range(8)), EOS) for p in prompts]
    forced = [
        greedy(model, p, a, d) for p, a, d in zip(prompts, answers, mixed, strict=True)
    ]
    reader = probe.reader(model)
    assert admitted(reader) == DECODED[kind]
    asked = [Request(i, p, 8, stops=frozenset({EOS})) for i, p in enumerate(prompts)]
    asked += [
        Request(9 + i, p, len(a), a, sorted(d))
        for i, (p, a, d) in enumerate(zip(prompts, answers, mixed, strict=True))
    ]
    names = ["sequential", "speculative"][: 1 + DECODED[kind][2]]
    for name in names:
        engine = engines.make(name, model, Sampler(Sampling(), BANNED), asked, 4)
        filled = dict(engines.fill(engine, asked, 4))
        assert [filled[i] for i in range(10)] == free + forced, name


def test_logits_that_are_no_numbers_are_named_with_their_row() -> None:
    """A row of the head that only one prompt makes large."""
    model = build("llama")
    requests = [Request(i, row, 4, name=f"id{i}") for i, row in enumerate(rows())]
    engine = engines.make("auto", model, Sampler(Sampling(), BANNED), requests, 4)
    model.lm_head.weight.data[7] = math.nan
    with pytest.raises(
        UserError,
        match=r"the logits of LlamaForCausalLM before token 0 of the answer to id\d are",
    ):
        list(engines.fill(engine, requests, 4))


def reference(name: str, prompt: list[int], answer: list[int]) -> forced.Reference:
    return forced.Reference(name, 0, prompt, answer)


ALL = PassSpec(
    kind="forced",
    beta=1.0,
    sampling=Sampling(),
    seed=0,
    rows=(0, 9),
    epochs=1,
    prompt=PromptSpec("{prompt}", "", 99, 99),
    device=Device("cpu", "fp32"),
)


def mixed_by(model: Any, *given: forced.Reference, banned: list[int]) -> dict[str, Any]:
    made = forced.run(model, list(given), ALL, banned, [EOS])
    return {row["id"]: row["tokens"] for row in made}


@pytest.mark.parametrize("kind", ["dynamic", "longrope"])
def test_a_row_is_drawn_as_it_is_alone(kind: str) -> None:
    """Beside and after a row beyond the length at which rotary frequencies change."""
    own = {"rope_type": kind, "rope_theta": 1e4, "factor": 4.0}
    if kind == "longrope":
        own |= {"short_factor": [1.0] * 4, "long_factor": [3.0] * 4}
        own |= {"original_max_position_embeddings": 16}
    model = build("llama", max_position_embeddings=16, rope_parameters=own)
    short = reference("short", [5, 6, 7], [8, 9, 10, 11, 12, EOS])
    long = reference("long", list(range(20, 50)), [8, 9, EOS])
    alone = mixed_by(model, short, banned=BANNED)["short"]
    assert mixed_by(model, long, short, banned=BANNED)["short"] == alone
    assert mixed_by(model, short, banned=BANNED)["short"] == alone
    wanted = greedy(model, [5, 6, 7], [8] * 5, set(range(5)))
    assert alone == [*wanted, EOS]


def test_rows_at_the_edge_are_right_or_refused_in_one_line() -> None:
    model = build("gpt2")
    row = reference("a", [5, 6, 7], [8, 9, EOS])
    beyond = mixed_by(model, row, banned=[*BANNED, VOCABULARY, VOCABULARY + 7])
    assert beyond == mixed_by(model, row, banned=BANNED), "ids that the head has not"
    for strange in (
        reference("x", [5, VOCABULARY], [8, EOS]),
        reference("x", [5], [VOCABULARY, EOS]),
        reference("x", [-1], [8, EOS]),
    ):
        with pytest.raises(
            UserError,
            match=rf"row x: found token -?\d+, allowed with GPT2.*: 0 to {VOCABULARY - 1}",
        ):
            mixed_by(model, row, strange, banned=BANNED)
    with pytest.raises(UserError, match="the prompt of none has no token"):
        mixed_by(model, row, reference("none", [], [8, EOS]), banned=BANNED)
    with pytest.raises(
        UserError, match="a row of 140 tokens, GPT2LMHeadModel has positions for 128"
    ):
        mixed_by(model, reference("b", [5] * 138, [8, EOS]), banned=BANNED)
    model.config.pad_token_id = -1
    assert (
        mixed_by(model, row, reference("b", [5], [8, EOS]), banned=BANNED)["a"]
        == (beyond["a"])
    )


class Closing(torch.nn.Module):
    """A head after which one token follows every context, and 5 if that may not be."""

    def __init__(self, head: torch.nn.Module, token: int) -> None:
        super().__init__()
        self.weight, self.token = head.weight, token

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros((*states.shape[:-1], len(self.weight)))
        logits[..., self.token], logits[..., 5] = 9, 5
        return logits


@pytest.mark.parametrize("role", [True, False])
def test_an_answer_ends_where_its_template_ends_a_turn(role: bool) -> None:
    """A token that is special by its role, as Gemma's is, or an added one without, as
    Phi-3's; the tokenizer's EOS is another."""
    names = {"special": IM} if role else {"added": IM}
    made = tokenizer(CHATML, **names)
    end = made.convert_tokens_to_ids("<|im_end|>")
    model = build("llama", vocab_size=len(made))
    assert model.generation_config.eos_token_id == EOS != end
    model.lm_head = Closing(model.lm_head, end)
    ids = prompt_ids(made, ALL.prompt, "hi")
    [row] = free.run(
        model, made, [Prompt("a", 0, ids)], Sampling(), seed=0, max_new_tokens=9
    )
    assert (row["tokens"], row["ended"], row["text"]) == (1, True, "")
    model.generation_config.eos_token_id = [EOS, 5]
    model.lm_head.token = made.convert_tokens_to_ids("<|im_start|>")
    [row] = free.run(
        model, made, [Prompt("a", 0, ids)], Sampling(), seed=0, max_new_tokens=9
    )
    assert (row["tokens"], row["ended"]) == (1, True), "an EOS of generation_config"

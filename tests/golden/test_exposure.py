"""Exposure bias: against plain loops, by hand, and on models that can be enumerated."""

from __future__ import annotations

import copy
import functools
import math
import random
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from selfgen.core.errors import UserError
from selfgen.evaluation import exposure
from selfgen.evaluation.exposure import (
    Aligned,
    aligned,
    by_position,
    edit_distance,
    forced_choices,
    rates,
    shared_tokens,
    step_errors,
)
from selfgen.generation.forced import Reference
from selfgen.models import probe
from selfgen.models.reader import Reader
from tests.golden.conftest import EOS, SPECIAL, VOCABULARY, build, built

BANNED = [i for i in SPECIAL if i != EOS]


def references(n: int, seed: int = 0) -> list[Reference]:
    """Ragged prompts and answers; the first answer is EOS alone."""
    stream = random.Random(seed)

    def ids(longest: int) -> list[int]:
        return [
            stream.randrange(3, VOCABULARY) for _ in range(stream.randint(1, longest))
        ]

    rows = [Reference(f"r{i}", 0, ids(9), [*ids(15), EOS]) for i in range(n)]
    return [Reference("eos", 0, [5, 6], [EOS]), *rows]


@torch.inference_mode()
def next_logits(model: Any, read: Sequence[int]) -> torch.Tensor:
    return model(torch.tensor([list(read)])).logits[0, -1]


def best(logits: torch.Tensor) -> int:
    scores = [-math.inf if i in BANNED else x for i, x in enumerate(logits.tolist())]
    return scores.index(max(scores))


# Against plain loops: one prefix at a time, no cache, no padding, nothing of selfgen.


@pytest.mark.parametrize("batch_tokens", [1, 40, None])
@pytest.mark.parametrize("packed", [True, False])
def test_forced_choices_equal_a_plain_loop(
    model: Any, packed: bool, batch_tokens: int | None
) -> None:
    rows = references(6)
    if not packed:
        model = copy.deepcopy(model)
        model.config.update({"note": "cannot be read flat"})
        model._supports_attention_backend = False
    found = forced_choices(model, rows, banned=BANNED, batch_tokens=batch_tokens)
    for row, forced in zip(rows, found, strict=True):
        tokens, nll = [], 0.0
        for t, token in enumerate(row.answer_ids):
            logits = next_logits(model, [*row.prompt_ids, *row.answer_ids[:t]])
            tokens.append(best(logits))
            nll -= float(logits.log_softmax(-1)[token])
        assert forced.tokens == tokens
        assert forced.nll == pytest.approx(nll, rel=1e-4)


@pytest.mark.parametrize("kind", ["llama", "gpt_neox"])
def test_step_errors_equal_a_plain_loop(model: Any, kind: str) -> None:
    rows, oracle = references(4, seed=1), built(kind, 3)
    found = step_errors(model, oracle, rows, tokens=range(VOCABULARY), batch_tokens=30)
    for row, errors in zip(rows, found, strict=True):
        for t, error in enumerate(errors):
            read = [*row.prompt_ids, *row.answer_ids[:t]]
            p = next_logits(model, read).double().softmax(-1)
            o = next_logits(oracle, read).double().softmax(-1)
            wanted = float((o * (o.log() - p.log())).sum())
            assert error == pytest.approx(wanted, rel=1e-3, abs=1e-4)
        assert len(errors) == len(row.answer_ids)


def test_a_model_in_training_is_read_without_dropout_and_left_in_training() -> None:
    model = build("gpt_neox")
    rows = references(5)
    wanted = forced_choices(model, rows)
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5
    assert forced_choices(model, rows) == wanted
    assert step_errors(model, model, rows, tokens=range(VOCABULARY))[1] == [0.0] * len(
        rows[1].answer_ids
    )
    assert model.training
    assert forced_choices(model, []) == []


def test_errors_of_rows_and_vocabularies() -> None:
    llama = built("llama")
    with pytest.raises(UserError, match="the prompt of row 1 is empty"):
        forced_choices(llama, [*references(0), Reference("x", 0, [], [5])])
    with pytest.raises(
        UserError, match=r"found the token \d+ in a row, which model and"
    ):
        step_errors(llama, llama, references(1), tokens=[0, 1, 2])


def word_tokenizer(vocabulary: dict[str, int]) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel(vocabulary)))


def test_an_oracle_shares_the_map_of_tokens_and_not_the_size_of_the_head() -> None:
    own = word_tokenizer({"a": 0, "b": 1, "c": 2})
    more = word_tokenizer({"a": 0, "b": 1, "c": 2, "<pad>": 3})
    assert shared_tokens(own, more) == shared_tokens(more, own) == [0, 1, 2]
    others = ({"a": 0, "c": 1, "b": 2}, {"a": 0, "b": 1, "d": 2}, {"a": 0, "b": 2})
    for other in map(word_tokenizer, others):
        with pytest.raises(
            UserError, match=r"is '[bc]', the oracle's is ('[bcd]'|None)"
        ):
            shared_tokens(own, other)


def test_rows_of_a_padded_head_have_no_part_in_step_errors() -> None:
    """As Pythia 1B's and 6.9B's, whose heads have 50,304 and 50,432 rows."""
    small, rows = built("llama"), references(2)
    large = copy.deepcopy(small)
    large.resize_token_embeddings(VOCABULARY + 9)
    oracle = built("llama", 3)
    wanted = step_errors(small, oracle, rows, tokens=range(VOCABULARY))
    found = step_errors(large, oracle, rows, tokens=range(VOCABULARY))
    for a, b in zip(found, wanted, strict=True):
        assert a == pytest.approx(b, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_logits_that_are_no_numbers_are_named(value: float) -> None:
    """Of either model, and that come after it was tried: token 7 is in one answer alone."""
    sound, broken = (build("llama", tie_word_embeddings=False) for _ in range(2))
    rows = [Reference("a", 0, [5, 6], [8, 9, EOS]), Reference("b", 0, [5], [8, 7, 9])]
    forced_choices(broken, rows)
    broken.model.embed_tokens.weight.data[7] = value
    said = r"the logits of LlamaForCausalLM before token \d of the answer to b are not"
    for read in (
        lambda: forced_choices(broken, rows),
        lambda: step_errors(sound, broken, rows, tokens=range(VOCABULARY)),
        lambda: step_errors(broken, sound, rows, tokens=range(VOCABULARY)),
    ):
        with pytest.raises(UserError, match=said):
            read()


@pytest.mark.parametrize(
    ("prompt", "answer"), [([5, VOCABULARY], [8]), ([5], [VOCABULARY]), ([-1], [8])]
)
def test_tokens_that_a_model_does_not_have_are_named(
    prompt: list[int], answer: list[int]
) -> None:
    model, row = built("llama"), Reference("x", 0, prompt, answer)
    said = rf"row x: found token -?\d+, allowed with LlamaForCausalLM: 0 to {VOCABULARY - 1}"
    for read in (
        lambda: forced_choices(model, [row]),
        lambda: step_errors(model, model, [row], tokens=range(-1, VOCABULARY + 1)),
    ):
        with pytest.raises(UserError, match=said):
            read()
    known = references(2)
    more = forced_choices(model, known, banned=[*BANNED, VOCABULARY, VOCABULARY + 9])
    assert more == forced_choices(model, known, banned=BANNED)


def test_a_model_that_gives_all_logits_reads_few_tokens_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And what is written into its logits leaves them as they were."""
    model, rows = build("llama"), references(9)
    wanted = forced_choices(model, rows, banned=BANNED)
    reader = Reader(model, None, "whole")
    seen: list[int] = []
    states = reader.states

    def counted(ids: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
        seen.append(len(ids))
        return states(ids, lengths)

    monkeypatch.setattr(reader, "states", counted)
    monkeypatch.setattr(probe, "reader", lambda _: reader)
    monkeypatch.setattr(exposure, "LOGITS", {"cpu": 20 * VOCABULARY})
    found = forced_choices(model, rows, banned=BANNED)
    assert [x.tokens for x in found] == [x.tokens for x in wanted]
    assert [x.nll for x in found] == pytest.approx([x.nll for x in wanted], abs=1e-3)
    longest = max(len(row) for row in rows)
    assert max(seen) <= max(20, longest) < sum(seen)
    row = states(torch.tensor([5, 6]), [2])
    logits = reader.logits(row)
    logits[:] = -math.inf
    assert row.isfinite().all()


# Aligned answers.

SAME = {11: 10, 21: 20}
GOLD = [10, 20, 30, 40, EOS]
SHORT = aligned([11, 30, 30, EOS], [10, 21, 31, 40, EOS], GOLD, SAME)
LONG = aligned([10, 20, 30, 40, 50, EOS], GOLD, [10, 21, 30, 40, EOS], SAME)


def test_aligned_by_hand() -> None:
    assert SHORT.forced_wrong == [False, False, True, False, False]
    assert SHORT.free_wrong == [False, True, False, True, True]
    assert (SHORT.longer, SHORT.similarity) == (False, 1 - 2 / 5)
    assert SHORT.after_error == [False, False, True, True, True]
    assert SHORT.recovered == [False, False, True, False, False]
    assert (LONG.forced_wrong, LONG.free_wrong) == ([False] * 5, [False] * 4 + [True])
    assert (LONG.longer, LONG.similarity) == (True, 1 - 1 / 6)
    assert LONG.recovered == LONG.after_error == [False] * 5
    assert aligned([], [], [], {}) == Aligned([], [], False, 1.0)
    with pytest.raises(UserError, match="found 1 forced tokens for 5"):
        aligned(GOLD, [3], GOLD, {})


def test_frames_by_hand() -> None:
    other = aligned([7, EOS], [7, EOS], [8, EOS], {})
    frame = by_position([SHORT, LONG, other])
    columns = ["length", "position", "n", "forced_wrong", "free_wrong"]
    assert list(frame.columns) == [*columns, "after_error", "recovered"]
    assert frame.to_numpy().tolist() == [
        [2, 0, 1, 1, 1, 0, 0],
        [2, 1, 1, 0, 0, 1, 1],
        [5, 0, 2, 0, 0, 0, 0],
        [5, 1, 2, 0, 1, 0, 0],
        [5, 2, 2, 1, 0, 1, 1],
        [5, 3, 2, 0, 1, 1, 0],
        [5, 4, 2, 0, 2, 1, 0],
    ]
    whole = rates(frame.groupby("length").sum())
    names = ["forced_error", "free_error", "excess", "recovery"]
    assert whole.loc[5, names].tolist() == pytest.approx([0.1, 0.4, 0.3, 1 / 3])
    assert rates(by_position([LONG]))["recovery"].isna().all()
    assert by_position([]).empty


@functools.cache
def distance(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    if not a or not b:
        return len(a) + len(b)
    swap = distance(a[1:], b[1:]) + (a[0] != b[0])
    return min(swap, distance(a[1:], b) + 1, distance(a, b[1:]) + 1)


@given(*[st.lists(st.integers(0, 3), max_size=12)] * 2)
def test_edit_distance_is_levenshteins(a: list[int], b: list[int]) -> None:
    wanted = distance(tuple(a), tuple(b))
    assert edit_distance(a, b) == edit_distance(b, a) == wanted


# Exact match cannot show exposure bias (controlled-findings, section 0).


def check_identity(free: list[int], forced: list[int], gold: list[int]) -> bool:
    found = aligned(free, forced, gold, {})
    exact = free == gold
    assert exact == (not any(found.forced_wrong))
    if not exact:  # the first error is the same, too
        assert found.free_wrong.index(True) == found.forced_wrong.index(True)
    return exact


@settings(max_examples=300)
@given(
    seed=st.integers(0, 10**6),
    gold=st.lists(st.integers(3, 6), max_size=8),
    mistakes=st.sampled_from([0.0, 0.1, 0.5]),
    more=st.integers(0, 5),
)
def test_exact_match_is_all_forced_right(
    seed: int, gold: list[int], mistakes: float, more: int
) -> None:
    """For any deterministic model, here one that knows the answer but for some lapses."""
    gold = [*gold, EOS]

    def choose(context: list[int]) -> int:
        stream = random.Random(f"{seed} {context}")
        if context == gold[: len(context)] and stream.random() >= mistakes:
            return gold[len(context)]
        return stream.choice([EOS, 3, 4, 5, 6])

    free: list[int] = []
    while EOS not in free and len(free) < len(gold) + more:
        free.append(choose(free))
    check_identity(free, [choose(gold[:t]) for t in range(len(gold))], gold)


def test_exact_match_is_all_forced_right_for_a_model(model: Any) -> None:
    """References that are the model's own greedy answers, half of them with one change."""
    rows, answers = [], []
    for i, row in enumerate(references(7, seed=3)):
        free: list[int] = []
        while len(free) < 10 and EOS not in free:
            free.append(best(next_logits(model, [*row.prompt_ids, *free])))
        gold = list(free)
        if i % 2:
            gold[i % len(gold)] = 3 + (gold[i % len(gold)] - 2) % (VOCABULARY - 3)
        answers.append(free)
        rows.append(Reference(row.id, 0, row.prompt_ids, gold))
    forced = forced_choices(model, rows, banned=BANNED)
    exact = [
        check_identity(free, f.tokens, list(row.answer_ids))
        for free, f, row in zip(answers, forced, rows, strict=True)
    ]
    assert exact == [i % 2 == 0 for i in range(len(rows))]

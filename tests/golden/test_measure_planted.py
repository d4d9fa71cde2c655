"""Planted errors by hand, by simulation, and of models whose recovery is known exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from selfgen.core.hashing import unit
from selfgen.data.checked import Step
from selfgen.data.examples import Example
from selfgen.data.prompts import PromptSpec, load_tokenizer
from selfgen.generation import ends
from selfgen.measures import planted_steps
from selfgen.measures.base import Rows, curve, difference, interval
from selfgen.measures.reading import Instrument
from selfgen.measures.registry import PLACES
from selfgen.measures.spec import MeasureSpec
from selfgen.models import loading
from selfgen.report.measured.words import shown
from tests.golden.test_measures import BY_NAME, RUNS, under, value
from tests.tiny import tiny


def test_an_effect_that_is_gone_has_no_half_life_left_and_one_that_stays_none() -> None:
    gone = {"planted_own": [1.0, 1.0] + [0.0] * 30}
    below = {"planted_own": [1.0] * 8 + [-0.1] * 24}
    stays = {"planted_own": [1.0] * 32}
    assert value("planted_own_half_life", under(gone, gone)) == 0
    assert value("planted_own_half_life", under(below, below)) == 0
    assert interval(BY_NAME["planted_own_half_life"], under(stays, stays), 0.95) is None


def test_an_effect_that_shrinks_evenly_gives_its_half_life_back() -> None:
    for half_life in (2.0, 8.0, 20.0):
        effect = [3 * 0.5 ** (lag / half_life) for lag in range(32)]
        rows = under({"planted_own": effect}, {"planted_own": effect})
        assert value("planted_own_half_life", rows) == pytest.approx(half_life)
        assert value("planted_own", rows) == pytest.approx(np.mean(effect[:8]))
        left = np.mean(effect[24:]) / np.mean(effect[:8])
        assert value("planted_own_recovered", rows) == pytest.approx(1 - left)


def test_an_effect_that_stays_has_no_half_life_and_none_is_gone() -> None:
    rows = under({"planted_own": [2.0] * 32}, {"planted_own": [2.0] * 32})
    assert interval(BY_NAME["planted_own_half_life"], rows, 0.95) is None
    assert value("planted_own_recovered", rows) == pytest.approx(0)


def test_a_half_life_without_an_effect_before_it_is_none() -> None:
    """Of what costs less after planted errors, and of noise around nothing."""
    stream = np.random.default_rng(0)
    below = [-(0.5 ** (np.arange(32) / 8)) for _ in range(20)]
    for effects in (below, list(stream.normal(0.01, 1, (20, 32)))):
        noise = stream.normal(0, 0.01, (20, 32))
        rows = under(
            *({"planted_own": [*(e + n)]} for e, n in zip(effects, noise, strict=True))
        )
        assert interval(BY_NAME["planted_own"], rows, 0.95) is not None
        for name in ("planted_own_half_life", "planted_own_recovered"):
            assert interval(BY_NAME[name], rows, 0.95) is None, name
            assert difference(BY_NAME[name], rows, rows, 0.95) is None, name


def shrinking(stream: np.random.Generator, noise: float, prompts: int = 64) -> Rows:
    """An effect of a half-life of 8 tokens, larger of some prompts."""
    decay = 0.5 ** (np.arange(32) / 8)
    sizes = stream.uniform(0.5, 1.5, prompts)
    added = stream.normal(0, noise, (prompts, 32))
    return under(
        *(
            {"planted_own": [*(s * decay + n)]}
            for s, n in zip(sizes, added, strict=True)
        )
    )


def test_a_half_life_lies_in_its_interval_as_often_as_that_says() -> None:
    stream = np.random.default_rng(3)
    covered = 0
    for _ in range(RUNS):
        found = interval(BY_NAME["planted_own_half_life"], shrinking(stream, 0.5), 0.95)
        assert found is not None
        covered += found.low <= 8 <= found.high
    assert covered / RUNS == pytest.approx(0.95, abs=4 * math.sqrt(0.05 * 0.95 / RUNS))


def test_no_half_life_is_below_nothing() -> None:
    stream = np.random.default_rng(0)
    lows = []
    for _ in range(40):
        rows = shrinking(stream, 3.0, 16)
        found = interval(BY_NAME["planted_own_half_life"], rows, 0.95)
        if found is not None and found.value > 0:
            lows.append(found.low)
    assert min(lows) == 0


def test_what_is_gone_is_a_bound_without_an_interval_or_a_mark() -> None:
    stream = np.random.default_rng(0)
    gone, lasts = (
        under(
            *(
                {"planted_own": [*(early + stream.normal(0, 0.05, 32))]}
                for _ in range(20)
            )
        )
        for early in ([1.0] * 16 + [-0.1] * 16, 0.5 ** (np.arange(32) / 8))
    )
    measure = BY_NAME["planted_own_half_life"]
    found = interval(measure, gone, 0.95)
    assert found is not None and found.value == 0
    assert math.isnan(found.low) and math.isnan(found.high) and not found.equal
    assert shown(found, measure) == "0.0"
    for pair in ((gone, lasts), (lasts, gone)):
        other = difference(measure, *pair, 0.95)
        assert other is not None and other.sign == 0
        assert math.isnan(other.low) and abs(other.value) == pytest.approx(8, rel=0.1)


def test_steps_after_a_planted_one_by_hand() -> None:
    """Of each prompt the steps that both answers have."""
    rows = under(
        {"planted_steps": ["again", "", "order", ""], "clean_steps": ["", "", "", ""]},
        {"planted_steps": ["", "end"], "clean_steps": ["again"]},
        {"planted_steps": None, "clean_steps": None},
        {"planted_steps": [], "clean_steps": [""]},
    )
    assert value("planted_steps", rows) == pytest.approx((2 - 1) / 5)


def test_planted_steps_of_other_numbers_are_no_effect() -> None:
    """Later steps are wrong more often, whatever stands before; after the wrong one half of
    the answers end early."""
    wrong = [""] * 2 + ["order"] * 6
    rows = under(
        *({"planted_steps": wrong[:n], "clean_steps": wrong} for n in [2, 8] * 16)
    )
    assert value("planted_steps", rows) == 0


def test_what_is_gone_of_planted_steps_by_hand() -> None:
    """Of 8 prompts all are wrong at lags 1 to 4, and half at lags 5 to 8: a half-life of
    four steps. One prompt has fewer lags."""
    first = ["order"] * 4
    rows = under(
        *(
            {"planted_steps": first + [mark] * 4, "clean_steps": [""] * 8}
            for mark in ["order", ""] * 4
        ),
        {"planted_steps": first, "clean_steps": [""] * 4},
    )
    assert value("planted_steps_recovered", rows) == pytest.approx(0.5)
    assert value("planted_steps_half_life", rows) == pytest.approx(4)
    assert value("planted_steps", rows) == pytest.approx(
        (8 * 4 + 4 * 4 + 4) / (8 * 8 + 4)
    )
    nothing = under(*({"planted_steps": [""] * 8, "clean_steps": [""] * 8},) * 3)
    assert value("planted_steps", nothing) == 0
    assert interval(BY_NAME["planted_steps_half_life"], nothing, 0.95) is None


def test_steps_are_drawn_up_to_lag_32_where_a_quarter_of_the_prompts_have_them() -> (
    None
):
    rows = under(
        *(
            {"planted_steps": ["order"] * n, "clean_steps": [""] * n}
            for n in [32, 12, 12, 12] * 4
        )
    )
    wrong, right = (curve(line, rows, 64, 0.95) for line in PLACES["planted-steps"][2])
    assert [len(wrong), len(right)] == [32, 32]
    assert {p.value for p in wrong} == {1} and {p.value for p in right} == {0}


# A model that goes on with the next letter, whatever stands before the last one


LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def counter(folder: Path, words: Any, letters: str) -> Any:
    """It writes the letter behind the last one, and ends behind the last of them."""
    model = loading.load(folder)
    torch.manual_seed(0)
    ids = words(letters, add_special_tokens=False)["input_ids"]
    (stop,) = ends.stops(model, words)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        into = model.get_input_embeddings().weight
        into.copy_(torch.nn.functional.normalize(torch.randn(into.shape)))
        out = model.get_output_embeddings().weight
        out.zero_()
        out[[*ids[1:], stop]] = 10 * into[ids]
    return model.eval()


class ByPlace:
    """A step is a letter; right is that which the reference has at this place, and its end
    behind the last, whatever stands before."""

    delimiters = ""

    def __init__(self, letters: str) -> None:
        self.letters = letters

    def right(self, prompt: str, before: Sequence[Step]) -> list[Step]:
        left = self.letters[len(before) :]
        return [Step(left[0])] if left else [Step("", True)]

    def error(self, prompt: str, before: Sequence[Step], step: Step) -> str:
        return "end" if step.ended else "letter"


class ByLast(ByPlace):
    """Right is the letter behind the last one."""

    def right(self, prompt: str, before: Sequence[Step]) -> list[Step]:
        place = self.letters.index(before[-1].text) + 1 if before else 0
        return super().right(prompt, [Step("")] * place)


def told(
    folder: Path, letters: str, checker: ByPlace
) -> dict[str, dict[str, list[str] | None]]:
    words = load_tokenizer(folder)
    model = counter(folder, words, letters)
    (stop,) = ends.stops(model, words)
    ids = [*words(letters, add_special_tokens=False)["input_ids"], stop]
    examples = [Example(f"{n}", "", [200], list(ids)) for n in range(96)]
    spec = MeasureSpec(PromptSpec("{prompt}", "", 64, 64))
    own = Instrument(model, words, spec, examples, checker=checker)
    return planted_steps.effects(own, examples)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("model"), tie_word_embeddings=False)


def behind(prompt: str, letters: str) -> int:
    """Steps behind the planted one, the end among them."""
    steps = len(letters) + 1
    return steps - 2 - int(unit(prompt, "planted step") * (steps - 2))


def test_steps_are_judged_to_the_end_of_the_reference_or_lag_32(folder: Path) -> None:
    """Also the end where it is the last token that may be written."""
    for letters in (LETTERS[:12], LETTERS):
        found = told(folder, letters, ByPlace(letters))
        left = {i: behind(i, letters) for i in found}
        for i, row in found.items():
            assert row["clean_steps"] == [""] * min(32, left[i])
            # It goes on behind the planted letter, which stands elsewhere.
            assert row["planted_steps"] and all(row["planted_steps"])
    # Where 32 steps are left the end is the last token, and some have more.
    assert 32 in left.values() and max(left.values()) > 40


def test_what_needs_the_place_never_recovers_and_what_needs_the_last_step_at_once(
    folder: Path,
) -> None:
    for checker, effect in ((ByPlace(LETTERS), 1.0), (ByLast(LETTERS), 0.0)):
        rows: Rows = {0: dict(told(folder, LETTERS, checker))}
        assert value("planted_steps", rows) == pytest.approx(effect)
        gone = interval(BY_NAME["planted_steps_recovered"], rows, 0.95)
        assert (gone is None) == (not effect)
        assert gone is None or gone.value == pytest.approx(0)
        assert interval(BY_NAME["planted_steps_half_life"], rows, 0.95) is None

"""Bugs that are told apart from exposure bias, and what looks like one and is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import selfgen
from selfgen.data.prompts import load_tokenizer
from selfgen.data.turns import turns
from selfgen.measures import checks
from selfgen.measures.spec import Check
from selfgen.models import loading
from selfgen.report.measured import page
from tests.tiny import tiny

NEVER = -100
WORD, OTHER = 70, 71


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("model"))


@pytest.fixture
def words(folder: Path) -> Any:
    return load_tokenizer(folder)


def labelled(folder: Path, rows: list[dict[str, Any]]) -> Check:
    """What is said of the labels of the ends of rows."""
    model, words = loading.load(folder), load_tokenizer(folder)
    found = checks.check(model, words, [], {}, rows)
    (one,) = [check for check in found if check.name == "labels: end"]
    return one


def row(ids: list[int], labels: list[int], real: int | None = None) -> dict[str, Any]:
    """``real``: how many tokens are no padding, where the row tells."""
    made: dict[str, Any] = {"input_ids": ids, "labels": labels}
    if real is not None:
        made["attention_mask"] = [1] * real + [0] * (len(ids) - real)
    return made


@pytest.mark.parametrize("told", [False, True], ids=["no mask", "mask"])
def test_rows_that_are_padded_with_their_end_are_fine(
    folder: Path, words: Any, told: bool
) -> None:
    end = turns(words).end
    ids = [5, end, WORD, end, end, end]
    labels = [NEVER, NEVER, WORD, end, NEVER, NEVER]
    assert labelled(folder, [row(ids, labels, 4 if told else None)] * 4).ok
    labels[3] = NEVER
    found = labelled(folder, [row(ids, labels, 4 if told else None)] * 4)
    assert not found.ok and "in 0 of 4 answers" in found.found


@pytest.mark.parametrize("padding", [0, 2])
def test_an_end_that_the_context_has_not_is_in_the_labels(
    folder: Path, words: Any, padding: int
) -> None:
    """In rows of BASH the model's own token may stand in the place of the end."""
    end = turns(words).end
    ids = [5, end, WORD, OTHER, *[end] * padding]
    labels = [NEVER, NEVER, WORD, end, *[NEVER] * padding]
    found = labelled(folder, [row(ids, labels)] * 4)
    assert found.ok and "in 4 of 4 answers" in found.found


def test_an_own_end_that_stands_early_is_not_the_end(folder: Path, words: Any) -> None:
    end = turns(words).end
    rows = [row([5, end, end, end], [NEVER, NEVER, WORD, end])] * 4
    assert labelled(folder, rows).ok


def test_a_template_that_writes_white_space_behind_the_end(
    folder: Path, words: Any
) -> None:
    """And pads with another stop, as Qwen does: the labels of neither matter."""
    end = turns(words).end
    (line,) = words("\n", add_special_tokens=False)["input_ids"]
    for tail in ([line], [line, end, end]):
        ids = [5, end, WORD, end, *tail]
        labels = [NEVER, NEVER, WORD, end, *[NEVER] * len(tail)]
        assert labelled(folder, [row(ids, labels)] * 4).ok
        labels[3] = NEVER
        assert not labelled(folder, [row(ids, labels)] * 4).ok


def test_a_row_that_is_cut_has_no_end_though_its_padding_looks_like_one(
    folder: Path, words: Any
) -> None:
    end = turns(words).end
    ids, labels = [5, WORD, OTHER, end, end], [NEVER, WORD, OTHER, NEVER, NEVER]
    found = labelled(folder, [row(ids, labels, 3)] * 4)
    assert not found.ok and "have it in 0" in found.found


def test_the_probability_is_of_the_token_that_is_named(
    folder: Path, words: Any
) -> None:
    """Not of all that stop the model."""
    end, model = turns(words).end, loading.load(folder)
    model.generation_config.eos_token_id = [end, OTHER]
    asked = [{"prompt": f"Number {n}?", "reference": "It is."} for n in range(4)]
    found = selfgen.measure(model, words, asked, max_answer_tokens=24)
    (said,) = [x for x in found.checks[found.first] if x.name == "end of answers"]
    name, other = words.convert_ids_to_tokens([end, OTHER])
    assert f"the reference ends, {name} has probability" in said.found
    assert other not in said.found.partition("the reference ends, ")[2].split()


def test_what_model_and_oracle_share_is_said(folder: Path, words: Any) -> None:
    """Of an oracle with two more tokens: all that the model has."""
    other = load_tokenizer(folder)
    other.add_tokens(["selfgen", "measure"])
    asked = [{"prompt": f"Number {n}?", "reference": "It is."} for n in range(4)]
    given: dict[str, Any] = {"max_answer_tokens": 24, "device": "cpu"}
    alone = selfgen.measure(folder, None, asked, **given)
    oracle = loading.load(folder)
    held = selfgen.measure(
        folder, None, asked, oracle=oracle, oracle_tokenizer=other, **given
    )
    name = "oracle's vocabulary"
    assert name not in {check.name for check in alone.checks[alone.first]}
    (said,) = [x for x in held.checks[held.first] if x.name == name]
    n = len(words.get_vocab())
    assert said.ok and said.found.startswith(f"{n} of the model's {n} tokens")
    assert "(its merges) is not compared" in said.found
    assert "(its merges) is not compared" in page.html(held)

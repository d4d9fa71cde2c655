"""Continuations after half an answer, of models whose next token is known."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from selfgen.data.examples import Example
from selfgen.data.prompts import PromptSpec, load_tokenizer
from selfgen.generation import ends
from selfgen.measures.reading import Instrument, read_prompts
from selfgen.measures.spec import CONTINUED, MeasureSpec
from tests.golden.test_measure_planted import LETTERS, counter
from tests.golden.test_measures import value
from tests.tiny import tiny

LAST = 40
"""Letters of the alphabet that is counted through."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("model"), tie_word_embeddings=False)


def told(
    folder: Path, *, cut: int = 0, blind: bool = False
) -> tuple[list[dict[str, Any]], int]:
    """What is read of a model that counts from the prompt's letter to the last one and ends,
    as the references do, which lack their end and ``cut`` letters more where that is above
    0; and the size of the vocabulary. Its oracle is the model, or takes all tokens for
    equally probable (``blind``)."""
    words = load_tokenizer(folder)
    model = counter(folder, words, LETTERS[:LAST])
    oracle = copy.deepcopy(model)
    if blind:
        with torch.no_grad():
            oracle.get_output_embeddings().weight.zero_()
    (stop,) = ends.stops(model, words)
    ids = [*words(LETTERS[:LAST], add_special_tokens=False)["input_ids"], stop]
    examples = [
        Example(f"{n}", "", [ids[n]], ids[n + 1 : len(ids) - (cut and cut + 1)])
        for n in range(LAST - 3)
    ]
    records = [{"id": e.id, "prompt": "", "reference": ""} for e in examples]
    spec = MeasureSpec(PromptSpec("{prompt}", "", 64, LAST + 8))
    size = model.config.vocab_size
    own = Instrument(model, words, spec, examples, oracle, range(size))
    return read_prompts(own, examples, records), size


@pytest.mark.parametrize("cut", [0, 1])
def test_no_continuation_is_read_where_the_shorter_text_ends(
    folder: Path, cut: int
) -> None:
    """Where an answer ends nothing else may stand, so what is drawn there in its place is no
    error. A reference that is cut has letters to its last token."""
    rows, _ = told(folder, cut=cut)
    for row in rows:
        letters = LAST - 1 - int(row["id"]) - cut
        assert row["reference_ended"] == (not cut) and row["sample_ended"]
        left = min(CONTINUED, letters - letters // 2)
        for side in ("own", "reference"):
            assert len(row[f"continued_{side}"]) == left
            assert row[f"oracle_nll_{side}"] == pytest.approx(0, abs=1e-3)
            assert row[f"chrf_{side}"] == pytest.approx(1)
    assert value("oracle_nll", {0: {r["id"]: r for r in rows}}) == pytest.approx(0)


def test_what_a_token_costs_does_not_depend_on_how_many_there_are(folder: Path) -> None:
    rows, size = told(folder, blind=True)
    for row in rows:
        for side in ("own", "reference"):
            assert row[f"oracle_nll_{side}"] == pytest.approx(math.log(size), rel=1e-5)

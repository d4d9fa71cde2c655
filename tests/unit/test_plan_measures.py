"""What `selfgen plan` says of the measures, held against what is really read and written."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from tests.tiny import tiny
from tests.unit.test_plan import graph

from selfgen.data.examples import examples_of
from selfgen.data.prompts import PromptSpec, load_tokenizer
from selfgen.graph import cost
from selfgen.measures import reading, spec
from selfgen.models import loading
from selfgen.report.plan import MEASURING, WRITING, Rates, Work, hours
from selfgen.tasks import DATASETS, group_words

PROMPTS = 6


def counting(model: Any, counts: list[int]) -> Any:
    """The tokens that each forward pass is given, padding included."""

    def before(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        ids = kwargs.get("input_ids", args[0] if args else None)
        if ids is None:
            ids = kwargs["inputs_embeds"][..., 0]
        counts.append(ids.numel())

    model.base_model.register_forward_pre_hook(before, with_kwargs=True)
    return model


@pytest.mark.parametrize("checked", [False, True])
@pytest.mark.parametrize("oracle", [False, True])
def test_a_row_takes_what_is_planned(
    tmp_path: Path, oracle: bool, checked: bool
) -> None:
    """A random model never ends, and so writes all that it may."""
    folder = tiny(tmp_path / "model")
    words, stream = load_tokenizer(folder), random.Random(0)
    records = [
        {"id": str(n), "prompt": prompt, "reference": reference}
        for n, (prompt, reference) in enumerate(
            group_words.make(stream) for _ in range(PROMPTS)
        )
    ]
    asked = PromptSpec("{prompt}", "", 512, 200)
    examples = examples_of(records, asked, words)
    counts: list[int] = []
    own = reading.Instrument(
        counting(loading.load(folder).eval(), counts),
        words,
        spec.MeasureSpec(asked),
        examples,
        counting(loading.load(folder).eval(), counts) if oracle else None,
        [*range(len(words))],
        DATASETS["group-words"].checker if checked else None,
        PROMPTS,
    )
    reading.read_prompts(own, examples, records)
    prompt = max(len(e.prompt_ids) for e in examples)
    planned = PROMPTS * sum(spec.tokens(prompt, 200, oracle=oracle, checked=checked))
    # Guesses that were not drawn are read, too; not every prompt is as long as the longest.
    assert 0.75 * planned < sum(counts) < 1.15 * planned


def test_works_by_hand() -> None:
    """64 of 4 prompts are 4: all measures of the four methods, without an oracle."""
    found = cost.works(graph(evaluation={"measure": {}}))
    before = cost.works(graph())
    read, written = spec.tokens(512, 24, oracle=False, checked=False)
    assert found[-1] == Work(
        MEASURING, "descriptions", "tiny", 4, read=4 * 4 * read, written=4 * 4 * written
    )
    assert found[:-1] == before


def test_what_it_writes_is_written_as_answers_are() -> None:
    rates = Rates({"fine-tuning": 0.5, WRITING: 0.01}, "")
    mine, free = (
        Work(step, "t", "m", 1, 0, 0, 10, 10) for step in (MEASURING, WRITING)
    )
    assert hours(mine, 100, "h100", rates) == hours(free, 100, "h100", rates) > 0

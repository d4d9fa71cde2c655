"""What two models may be held against each other in, and what a page may say of it."""

from __future__ import annotations

import json
import random
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import selfgen
from selfgen.core.errors import UserError
from selfgen.data.examples import examples_of
from selfgen.data.prompts import PromptSpec, load_tokenizer
from selfgen.measures import checks, planted_steps, reading
from selfgen.measures.spec import MeasureSpec
from selfgen.models import loading
from selfgen.report.measured import page
from selfgen.report.measured import words as said
from selfgen.report.measured.found import Found
from selfgen.tasks import DATASETS, group_words
from tests.golden.test_measure_faults import under
from tests.tiny import tiny

GIVEN: dict[str, Any] = {"max_answer_tokens": 24, "device": "cpu"}
ASKED = [{"prompt": f"Number {n}?", "reference": f"It is {n}."} for n in range(8)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("model"))


def steps(free: float, forced: float, prompts: int = 16) -> list[dict[str, Any]]:
    """Answers of 20 steps with about such shares of wrong ones."""
    stream = random.Random(f"{free} {forced}")

    def wrong(share: float) -> list[str]:
        number = round(20 * share) + stream.choice((-1, 0, 1))
        return ["order"] * number + [""] * (20 - number)

    return [
        {"steps_due": 20, "steps_free": wrong(free), "steps_forced": wrong(forced)}
        for _ in range(prompts)
    ]


def sentences(first: list[dict[str, Any]], other: list[dict[str, Any]]) -> list[str]:
    return list(said._others(Found({"a": under(first), "b": under(other)}, {})))


def test_who_is_wrong_everywhere_is_no_better() -> None:
    """An excess of 15 against one of 10, whose model errs after most of the reference."""
    (line,) = sentences(steps(0.25, 0.1), steps(0.9, 0.8))
    assert line.startswith("a and b do not compare in exposure bias: b errs")
    (line,) = sentences(steps(0.25, 0.1), steps(0.2, 0.1))
    assert line.startswith("a has more exposure bias than b")


def test_it_begins_where_enough_prompts_have_a_step() -> None:
    short = [{"steps_due": 3, "steps_free": [""] * 3, "steps_forced": [""] * 3}] * 30
    long = [
        {
            "steps_due": 9,
            "steps_free": [""] * 5 + ["order"] * 4,
            "steps_forced": [""] * 9,
        }
    ]
    found = Found({"m": under([*short, *long * 2])}, {})
    assert said._start(found, "steps_excess") == ""
    found = Found({"m": under([*short, *long * 20])}, {})
    assert said._start(found, "steps_excess").startswith("It begins at step 6, ")


def test_a_template_of_its_own_is_kept(folder: Path, tmp_path: Path) -> None:
    """Of two models one has a template: `--chat` is of the other."""
    bare = tmp_path / "bare"
    shutil.copytree(folder, bare)
    (bare / "chat_template.jinja").unlink()
    own = selfgen.measure(folder, None, ASKED, name="a", **GIVEN)
    asked, named = (
        selfgen.measure(where, None, ASKED, name="a", chat="plain", **GIVEN)
        for where in (folder, bare)
    )
    assert asked.json() == own.json() != named.json()


@pytest.mark.parametrize(
    "other", [{"planted": 8}, {"precision": "bf16"}, {"template": "Q: {prompt}"}]
)
def test_what_was_read_otherwise_is_not_compared(
    folder: Path, other: dict[str, Any]
) -> None:
    first = selfgen.measure(folder, None, ASKED, name="a", precision="fp32", **GIVEN)
    given = {"precision": "fp32", **GIVEN, **other}
    second = selfgen.measure(folder, None, ASKED, name="b", **given)
    with pytest.raises(UserError, match="allowed: the same"):
        first.against(second)


def test_parts_of_another_precision_are_not_gone_on_with(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "parts"
    selfgen.measure(folder, None, ASKED, out=out, precision="fp32", **GIVEN)
    with pytest.raises(UserError, match="other settings"):
        selfgen.measure(folder, None, ASKED, out=out, precision="bf16", **GIVEN)


def grouped(prompts: int, words: Any) -> tuple[list[dict[str, str]], list[Any]]:
    """Records of group-words as examples."""
    stream = random.Random(0)
    records = [
        dict(zip(("prompt", "reference"), group_words.make(stream), strict=True))
        | {"id": str(n)}
        for n in range(prompts)
    ]
    return records, examples_of(records, PromptSpec("{prompt}", "", 512, 200), words)


def test_parts_read_what_the_whole_reads(folder: Path) -> None:
    """Which step is planted, and how long steps may be, is decided over all prompts."""
    words = load_tokenizer(folder)
    _, examples = grouped(5, words)
    own = reading.Instrument(
        loading.load(folder).eval(),
        words,
        MeasureSpec(PromptSpec("{prompt}", "", 512, 200)),
        examples,
        checker=DATASETS["group-words"].checker,
    )
    whole = planted_steps.effects(own, examples)
    parts = planted_steps.effects(own, examples[:4]) | planted_steps.effects(
        own, examples[4:]
    )
    assert parts == whole


def test_the_first_wrong_step_is_marked_on_rows_of_a_file(folder: Path) -> None:
    words = load_tokenizer(folder)
    records, _ = grouped(3, words)
    model = loading.load(folder)
    with torch.no_grad():  # sure of one token, so a wrong step
        model.lm_head.weight.zero_()
    rows = [{k: r[k] for k in ("prompt", "reference")} for r in records]
    found = selfgen.measure(
        model, words, rows, task="group-words", **(GIVEN | {"max_answer_tokens": 200})
    )
    assert "<mark>" in page.html(found)


def documented(header: str) -> set[str]:
    """The names in the first column of a table of docs/measure.md."""
    page = (Path(__file__).parents[2] / "docs" / "measure.md").read_text()
    table = page.partition(f"| {header} | What |\n| :-- | :-- |\n")[2].partition(
        "\n\n"
    )[0]
    cells = [line.split("|")[1] for line in table.splitlines()]
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_every_column_is_documented(folder: Path) -> None:
    found = selfgen.measure(folder, None, ASKED, **GIVEN)
    (rows,) = found.rows[found.first].values()
    columns = {name for row in rows.values() for name in row}
    assert documented("Columns") == columns | {"clusters"}
    lines = json.loads(found.json())["measures"]
    assert documented("Key") == {key for line in lines for key in line}
    assert {*found.table().columns} == documented("Key") - {
        "title",
        "source",
        "definition",
        "cannot_show",
    }


def test_one_reference_that_ends_says_nothing_of_never(folder: Path) -> None:
    """63 references are cut, so answers are as long as they may be."""
    words = load_tokenizer(folder)
    cut = dict.fromkeys(("reference_ended", "answer_ended", "sample_ended"), False)
    rows: dict[str, dict[str, Any]] = {
        str(n): {**cut, "end_probability": None} for n in range(63)
    }

    def told(reference_ends: int, probability: float) -> bool:
        closed = {"reference_ended": True, "end_probability": probability}
        some = {i: row | closed for i, row in [*rows.items()][:reference_ends]}
        return checks._ends(words, rows | some).ok

    assert told(1, 0.99) and told(63, 0.99)
    assert not told(63, 0.01)

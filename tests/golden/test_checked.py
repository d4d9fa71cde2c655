"""Answers of steps: checkers against planted errors, forced steps against plain decoding,
realigned labels by hand."""

from __future__ import annotations

import random
import re
import string
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from selfgen.core.errors import UserError
from selfgen.core.spec import Device
from selfgen.data.chat_templates import CHATML
from selfgen.data.checked import Step, errors, spans, steps_of, written
from selfgen.data.dataset import RecordsSpec
from selfgen.data.examples import examples_of
from selfgen.data.prompts import PromptSpec
from selfgen.evaluation import steps as measured
from selfgen.evaluation.metrics import METRICS
from selfgen.evaluation.steps_spec import StepsSpec
from selfgen.generation import ends
from selfgen.mixing.realigned import Oracle
from selfgen.mixing.rows import IGNORE
from selfgen.models import base
from selfgen.models.base import ModelSpec
from selfgen.tasks import DATASETS

CHECKED = {name: data for name, data in DATASETS.items() if data.checker}
WORDS = [name for name in CHECKED if name in METRICS]
SPLITS = {"train": 60, "validation": 20, "test": 40}


def records(name: str, **rows: int) -> list[dict[str, Any]]:
    return [*DATASETS[name].load({}, RecordsSpec("t", name, rows or SPLITS))]


# Steps


def test_steps_by_hand() -> None:
    assert steps_of("a: b, c\nd", ",\n") == [
        Step("a: b,"),
        Step("c\n"),
        Step("d", True),
    ]
    assert steps_of("b, c", ",", ended=False) == [Step("b,"), Step("c")]
    # An end right after a delimiter is a step of its own; a limit there is nothing.
    assert steps_of("b,", ",") == [Step("b,"), Step("", True)]
    assert steps_of("b,", ",", ended=False) == [Step("b,")]
    assert steps_of("", ",") == [Step("", True)]
    assert steps_of("+4", "") == [Step("+"), Step("4"), Step("", True)]
    assert steps_of("+4", "", ended=False) == [Step("+"), Step("4")]
    assert written([Step("a: b,"), Step("c\n"), Step("d", True)], ",\n") == "a: b, c\nd"
    assert written([Step("+"), Step("4"), Step("", True)], "") == "+4"


# Checkers


@pytest.mark.parametrize("name", CHECKED)
def test_references_are_right_and_stand_once(name: str) -> None:
    rows = records(name)
    checker = CHECKED[name].checker
    assert checker
    assert [row["split"] for row in rows].count("test") == SPLITS["test"]
    assert len({row["prompt"] for row in rows}) == len(rows)
    for row in rows:
        steps = steps_of(row["reference"], checker.delimiters)
        assert not any(errors(checker, row["prompt"], steps))
        assert written(steps, checker.delimiters) == row["reference"]
    # More training rows change no held-out one.
    more = records(name, **SPLITS | {"train": 90})
    assert [r for r in more if r["split"] != "train"] == [
        r for r in rows if r["split"] != "train"
    ]


@pytest.mark.parametrize("name", WORDS)
def test_any_right_way_ends_in_a_right_answer(name: str) -> None:
    """Several ways are right, and the metric takes all of them."""
    checker = CHECKED[name].checker
    assert checker
    stream = random.Random(0)
    others = 0
    for row in records(name, test=40):
        steps: list[Step] = []
        while not (steps and steps[-1].ended):
            steps.append(stream.choice(checker.right(row["prompt"], steps)))
        text = written(steps, checker.delimiters)
        assert METRICS[name].score(text, row) == {"whole": 1.0}
        assert sorted(text.replace(",", " ").split()) == sorted(
            row["reference"].replace(",", " ").split()
        )
        others += text != row["reference"]
    assert others > 30


@pytest.mark.parametrize("name", CHECKED)
def test_after_any_mess_something_is_right(name: str) -> None:
    """And from there on the rule leads to an end, whatever stands before."""
    checker = CHECKED[name].checker
    assert checker
    stream = random.Random(1)
    for row in records(name, test=40):
        prompt = row["prompt"]
        marks = checker.delimiters or [""]
        words = re.split(r"[,\s]+" if checker.delimiters else "", row["reference"])
        steps = [
            Step(stream.choice([*words, "?"]) + stream.choice(marks))
            for _ in range(stream.randint(1, 30))
        ]
        before = len(steps)
        while not steps[-1].ended:
            right = checker.right(prompt, steps)
            assert len(set(right)) == len(right) > 0
            steps.append(right[-1])
            assert len(steps) < before + 40
        assert not any(errors(checker, prompt, steps)[before:])


GROUPS = "tea, cat, cow, bee, egg"
SORTED = "cat, cow, bee, egg"


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("group-words", "bee, cat, cow, egg, tea", "....."),
        ("group-words", "cow, cat, bee, tea, egg", "....."),
        ("group-words", "cat, cat, bee, cow, tea, egg", ".again...."),
        # "cow" is left, so what follows is out of order until it is written.
        ("group-words", "cat, bee, tea, egg, cow", "..order order."),
        ("group-words", "cat, bee, tea, egg", "..order order"),
        ("group-words", "cat, bee, tea, cow, egg", "..order.."),
        ("group-words", "cat, dog, bee, cow, tea, egg", ".foreign...."),
        ("group-words", "cat, bee", ".end"),
        ("group-words", "cat, bee, cow, egg, tea, ", "....end."),
        # A comma is left out: one step that is no word, and two words that are left.
        ("group-words", "cat bee, cow, egg, tea", "foreign.order order"),
        ("sort-words", "bee, cow, cat, egg", "...."),
        ("sort-words", "bee, cat, bee, cow, egg", "..again.."),
        ("sort-words", "bee, egg, cat, cow", ".order.."),
        ("sort-words", "bee, dog, cat, cow, egg", ".foreign..."),
        ("sort-words", "bee, cat", ".end"),
        ("sort-words", "bee, cat, cow, egg, ", "...end."),
        ("sort-words", "bee cat, cow, egg", "foreign order order"),
        ("chains", "+47-98*26", ".........."),
        # 5 is wrong after 3+4; 5-9 is 6, and 6*2 is 2: both right after what was written.
        ("chains", "+45-96*22", "..value......."),
        ("chains", "+47+98*26", "...sign......"),
        ("chains", "+47-88*26", "....digit....."),
        ("chains", "+47-98", "......end"),
        ("chains", "+47-98*26+", ".........end."),
        ("chains", "+4x-98*26", "..value......."),
    ],
)  # fmt: skip
def test_planted_errors(name: str, text: str, found: str) -> None:
    """One of each kind; what comes after is judged by what was really written before.
    ``found``: a dot for each right step."""
    checker = CHECKED[name].checker
    assert checker
    prompt = {"group-words": GROUPS, "sort-words": SORTED, "chains": "3+4-9*2"}[name]
    wanted = ["" if x == "." else x for x in re.findall(r"\.|\w+", found)]
    assert errors(checker, prompt, steps_of(text, checker.delimiters)) == wanted
    if name in WORDS:
        is_whole = METRICS[name].score(text, {"prompt": prompt})
        assert is_whole == {"whole": float(not any(wanted))}
    if not any(wanted):
        # Cut off before its end, the last step is none.
        cut = steps_of(text, checker.delimiters, ended=False)
        last = ["end"] if checker.delimiters else []
        assert errors(checker, prompt, cut) == [*wanted[:-1], *last]


# Forced steps

LETTERS = string.ascii_letters + string.digits + ",: \n+-*"
SHAPE = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 512,
}
PROMPT = PromptSpec("{prompt}", "Again.", 200, 200)


def letters(seed: int = 10) -> tuple[Any, Any]:
    """A model of characters that looks at its context and likes delimiters."""
    spec = ModelSpec("random", None, CHATML, "llama", SHAPE, seed, LETTERS)
    model, tokenizer = base.create(spec)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 2:
                weight.mul_(6)
        head = model.get_output_embeddings().weight
        for character in [",", "\n", tokenizer.eos_token]:
            head[tokenizer.convert_tokens_to_ids(character)] *= 5
    return model.eval(), tokenizer


@torch.inference_mode()
def greedy(model: Any, ids: list[int], banned: list[int]) -> int:
    logits = model(torch.tensor([ids])).logits[0, -1].clone()
    logits[banned] = -torch.inf
    return int(logits.argmax())


@pytest.mark.parametrize("name", CHECKED)
def test_forced_steps_are_those_of_plain_decoding(name: str) -> None:
    """From the reference's steps before it each step is written token by token."""
    model, tokenizer = letters()
    checker = CHECKED[name].checker
    assert checker
    rows = records(name, test=4)
    examples = examples_of(rows, PROMPT, tokenizer)
    found, generated = measured.forced_steps(
        model, tokenizer, examples, checker.delimiters, batch_size=4
    )
    stops = ends.stops(model, tokenizer)
    banned = ends.banned(model, tokenizer, but=stops)
    kinds = set()
    for row, example, steps in zip(rows, examples, found, strict=True):
        due = steps_of(row["reference"], checker.delimiters)
        assert len(steps) == len(due)
        longest = max(len(step.text) for step in due) + 2
        for k, step in enumerate(steps):
            before = written(due[:k], checker.delimiters)
            ids = [*example.prompt_ids, *example.answer_ids[: len(before)]]
            own: list[int] = []
            while not own or (
                own[-1] not in stops
                and checker.delimiters
                and tokenizer.decode(own[-1:]) not in checker.delimiters
                and len(own) < longest
            ):
                own.append(greedy(model, [*ids, *own], banned))
            text = tokenizer.decode(own, skip_special_tokens=True)
            plain = steps_of(text, checker.delimiters, own[-1] in stops)
            # One that nothing ends may be cut at another length.
            if own[-1] in stops or len(own) < longest or not checker.delimiters:
                assert step == plain[0]
                kinds.add("ended" if step.ended else step.text[-1:])
            else:
                assert step.text.startswith(text.strip()) and not step.ended
    assert "ended" in kinds
    assert not checker.delimiters or (generated > 0 and "," in kinds)


def test_spans_cover_an_answer() -> None:
    _, tokenizer = letters()
    text = "animals: bee, cat\nfoods: tea"
    ids = [*tokenizer(text, add_special_tokens=False)["input_ids"], 2]
    found = [*spans(tokenizer, ids, ",\n")]
    assert found == [(0, 13), (13, 18), (18, 29)]
    assert [tokenizer.decode(ids[a:b]) for a, b in found[:2]] == [
        "animals: bee,",
        " cat\n",
    ]


def test_rows_of_a_reading() -> None:
    """Free steps are those of the answers, as far as they go; forced ones as many as are
    due. What cannot be is refused."""
    model, tokenizer = letters()
    rows = records("sort-words", test=2)
    right, other = rows
    answers = [
        {"id": right["id"], "text": right["reference"], "ended": True},
        {"id": other["id"], "text": "dog, dog", "ended": False},
    ]
    spec = StepsSpec("sort-words", "test", PROMPT, Device("cpu", "fp32"))
    found, facts = measured.run(model, tokenizer, rows, answers, spec)
    assert [row["due"] for row in found] == [18, 18]
    assert found[0]["free"] == [""] * 18
    assert (
        found[1]["free"][1] in ("foreign", "again", "end")
        and len(found[1]["free"]) == 2
    )
    assert all(len(row["forced"]) == 18 for row in found)
    assert facts["forwarded_tokens"] > facts["generated_tokens"] > 0
    assert "turn_end" not in facts, "of delimiters it is thousands of tokens"
    with pytest.raises(UserError, match="answers: found none to sort-words-test-"):
        measured.run(model, tokenizer, rows, answers[:1], spec)
    short = replace(spec, prompt=replace(PROMPT, max_answer_tokens=30))
    with pytest.raises(UserError, match="max_new_tokens: found 30, allowed: more, for"):
        measured.run(model, tokenizer, rows, answers, short)
    rows[0]["reference"] = "zebra, " + rows[0]["reference"]
    with pytest.raises(UserError, match=r"sort-words: the reference of .* is wrong"):
        measured.run(model, tokenizer, rows, answers, spec)


# Realigned labels


def asked(context: str, prompt: str, reference: str, name: str) -> str:
    """The labels of a context of characters, ``_`` where there is none, ``$`` for the end."""
    _, tokenizer = letters()
    checker = CHECKED[name].checker
    assert checker
    ids = tokenizer(context, add_special_tokens=False)["input_ids"]
    record = {"id": "r", "prompt": prompt, "reference": reference}
    (example,) = examples_of([record], PROMPT, tokenizer)
    found = Oracle(tokenizer, PROMPT, checker, example).labels([*ids, 2])
    signs = {IGNORE: "_", 2: "$"}
    return "".join(signs.get(i) or tokenizer.decode([i]) for i in found)


def test_realigned_labels_by_hand() -> None:
    reference = "bee, cat, cow, egg"
    # What is read is the reference: so are the labels.
    assert asked(reference, SORTED, reference, "sort-words") == reference + "$"
    # "cow" is read for "cat": after "c" the reference's "cat" is asked for, after "co" what
    # can only be "cow". "cat" is left then, so the second "cow" and "egg" are begun wrongly.
    found = asked("bee, cow, cow, egg", SORTED, reference, "sort-words")
    assert found == "bee, caw, ca__ c___"


def test_realigned_labels_stay_the_reference_s_while_these_are_right() -> None:
    """ "dog" is read for "cow", and again at its own place: there the reference goes on with
    "bee". The passed over "cow" is asked for where nothing else of its kind is left."""
    prompt, reference = "egg, dog, bee, cat, cow", "cat, cow, dog, bee, egg"
    found = asked("cat, dog, dog, bee, egg", prompt, reference, "group-words")
    assert found == "cat, cog, b___ bee, c___"


def test_a_realigned_chain_by_hand() -> None:
    """3+4-9: 5 is read for 7, so 5-9 = 6 is asked for in the place of 8."""
    assert asked("+45-98", "3+4-9", "+47-98", "chains") == "+47-96$"
    # A sign in the place of a value says nothing: the right value goes on.
    assert asked("+4+-98", "3+4-9", "+47-98", "chains") == "+47-98$"


def continued(draft: str, ended: bool, name: str, prompt: str, reference: str) -> str:
    """A draft and how it goes on; what is not asked for stands in brackets."""
    _, tokenizer = letters()
    checker = CHECKED[name].checker
    assert checker
    record = {"id": "r", "prompt": prompt, "reference": reference}
    (example,) = examples_of([record], PROMPT, tokenizer)
    found = Oracle(tokenizer, PROMPT, checker, example).continued(draft, ended)
    if found is None:
        return "right"
    read, labels = found
    assert read[-1] == labels[-1] == 2
    said = "".join(
        tokenizer.decode([i]) if i == label else f"[{tokenizer.decode([i])}]"
        for i, label in zip(read[:-1], labels[:-1], strict=True)
    )
    return said.replace("][", "")


@pytest.mark.parametrize(
    ("draft", "found"),
    [
        ("bee, cow, cat, egg", "right"),
        # The wrong step is read, and not asked for; what is left comes behind it.
        ("bee, cat, bee, cow, egg", "bee, cat,[ bee,] cow, egg"),
        ("bee, egg, cat", "bee,[ egg,] cat, cow"),
        ("dog, cat", "[dog,] bee, cat, cow, egg"),
        # Ended too early, or cut off: that is not read.
        ("bee, cow", "bee, cat, cow, egg"),
        ("", "bee, cat, cow, egg"),
    ],
)
def test_a_draft_goes_on_rightly_behind_its_error(draft: str, found: str) -> None:
    reference = "bee, cat, cow, egg"
    assert continued(draft, True, "sort-words", SORTED, reference) == found


def test_what_was_cut_off_is_not_read() -> None:
    reference = "bee, cat, cow, egg"
    found = continued("bee, cow, c", False, "sort-words", SORTED, reference)
    assert found == "bee, cow, cat, egg"


def test_a_chain_goes_on_rightly_behind_its_error() -> None:
    found = continued("+45-96", True, "chains", "3+4-9", "+47-98")
    assert found == "+4[5]-96"
    assert continued("+47-98", True, "chains", "3+4-9", "+47-98") == "right"


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 39), st.data())
def test_realigned_labels_lead_to_right_steps(number: int, data: Any) -> None:
    """Whatever is read, following the labels from there on ends in right steps."""
    name = data.draw(st.sampled_from(sorted(CHECKED)))
    checker = CHECKED[name].checker
    assert checker
    _, tokenizer = letters()
    row = records(name, test=40)[number]
    prompt, text = row["prompt"], row["reference"]
    (example,) = examples_of([row], PROMPT, tokenizer)
    oracle = Oracle(tokenizer, PROMPT, checker, example)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    cut = data.draw(st.integers(0, len(ids) - 1))
    places = data.draw(st.lists(st.integers(0, len(ids) - 1), max_size=3))
    mixed = [ids[7 * t % len(ids)] if t in places else i for t, i in enumerate(ids)]
    read = mixed[:cut]
    for _ in range(12):
        label = oracle.labels([*read, 2])[-1]
        if label in (IGNORE, 2):
            break
        read.append(label)
    steps = steps_of(tokenizer.decode(read), checker.delimiters, ended=label == 2)
    if label == 2:
        before = len(steps_of(tokenizer.decode(read[:cut]), checker.delimiters, False))
        assert not any(errors(checker, prompt, steps)[before:])
    else:
        # Not there yet, or the step that was begun is the beginning of no right one.
        done = steps_of(tokenizer.decode(read), checker.delimiters, ended=False)
        assert label != IGNORE or done[-1].text

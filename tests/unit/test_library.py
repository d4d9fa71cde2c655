"""The library refuses what the configuration refuses, in one line each."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import datasets
import numpy
import pytest
import torch
from tests.families import build
from tests.unit.test_prompts import folder  # noqa: F401 (a fixture)

from selfgen.core.errors import UserError
from selfgen.core.spec import Device, Sampling
from selfgen.data.prompts import PromptSpec, load_tokenizer
from selfgen.generation import forced, free
from selfgen.generation.decoding import Prompt
from selfgen.generation.forced import Reference
from selfgen.generation.passes import run_pass
from selfgen.generation.spec import PassSpec
from selfgen.methods.bash import BashRows
from selfgen.mixing.spec import RowsSpec
from selfgen.models.loading import load

PROMPT = PromptSpec("{prompt}", "Again.", 64, 16)
PASS: dict[str, Any] = {
    **{"kind": "forced", "beta": 0.5, "sampling": Sampling(1.0), "seed": 0},
    **{"rows": (0, 2), "epochs": 1, "prompt": PROMPT, "device": Device("cpu", "fp32")},
}
RECORDS = [
    {"id": "a", "prompt": "One?", "reference": "Yes."},
    {"id": "b", "prompt": "Two?", "reference": "No, three."},
]


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        (
            "kind",
            "one-pass",
            "PassSpec.kind: found 'one-pass', allowed: 'forced', 'one",
        ),
        ("eos", "kept", "PassSpec.eos: found 'kept', allowed: 'exclude', 'keep'"),
        ("beta", 1.5, "PassSpec.beta: found 1.5, input should be less than or equal"),
        ("span", 0, "PassSpec.span: found 0, input should be greater than or equal"),
        ("epochs", 0, "PassSpec.epochs: found 0"),
        ("rows", (-1, 2), r"PassSpec.rows: found \(-1, 2\)"),
        ("sampling", 0.7, "PassSpec.sampling: found 0.7"),
        ("prompt", "{prompt}", "PassSpec.prompt: found '{prompt}'"),
    ],
)
def test_a_pass_that_cannot_be_is_refused(key: str, value: Any, match: str) -> None:
    assert PassSpec(**PASS)
    with pytest.raises(UserError, match=match):
        PassSpec(**PASS | {key: value})


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Sampling(-1.0), "Sampling.temperature: found -1.0"),
        (lambda: Sampling(1.0, top_p=0.0), "Sampling.top_p: found 0.0"),
        (lambda: Sampling(1.0, top_k=-5), "Sampling.top_k: found -5"),
        (lambda: Device("tpu"), "Device.device: found 'tpu', allowed: 'auto', 'cpu'"),
        (lambda: PromptSpec("{prompt}", "", 0, 9), "PromptSpec.max_prompt_tokens"),
        (
            lambda: RowsSpec(
                seed=0,
                rows=(0, 2),
                epochs=1,
                batch_size=0,
                prompt=PROMPT,
                method=BashRows(mix="bash"),
            ),
            "RowsSpec.batch_size: found 0",
        ),
    ],
)
def test_values_are_held_against_what_they_may_be(make: Any, match: str) -> None:
    with pytest.raises(UserError, match=match):
        make()


def test_a_pass_of_another_kind_and_numbers_that_are_none_are_refused() -> None:
    model = build("llama")
    row = Reference("a", 0, [5, 6], [8, 9, 2])
    mixed = partial(forced.run, model, [row], banned=[0], stops=[2])
    spec = PassSpec(**PASS)
    assert list(mixed(spec))
    for wrong, match in [
        ({"kind": "forced"}, "spec: found {'kind': 'forced'}, allowed: a PassSpec"),
        (
            PassSpec(**PASS | {"kind": "free"}),
            "PassSpec.kind: found 'free', allowed: 'fo",
        ),
    ]:
        with pytest.raises(UserError, match=match):
            list(mixed(wrong))
    for options, match in [
        ({"batch_size": 0}, "batch_size: found 0, allowed: 1 or more"),
        ({"shards": 0}, "shards: found 0, allowed: 1 or more"),
        ({"shard": 2, "shards": 2}, "shard: found 2, allowed: 0 to 1"),
        ({"shard": -1}, "shard: found -1, allowed: 0 to 0"),
        ({"engine": "sequentiel"}, "engine: found sequentiel, allowed are auto, seq"),
    ]:
        with pytest.raises(UserError, match=match):
            list(mixed(spec, **options))
    for strange in (vars(row), Prompt("a", 0, [5]), "abc"):
        with pytest.raises(UserError, match=r"generation: a row: found .*allowed: a "):
            list(forced.run(model, [strange], spec, [0], [2]))
    with pytest.raises(UserError, match="row a: found 'x', allowed: token ids"):
        list(forced.run(model, [Reference("a", 0, "xy", [8, 2])], spec, [0], [2]))
    held = Reference("a", 0, torch.tensor([5, 6]), numpy.array([8, 9, 2]))
    assert list(forced.run(model, [held], spec, [0], [2])) == list(mixed(spec))


def test_answers_of_no_token_are_refused(folder: Path) -> None:  # noqa: F811
    model, tokenizer = load(folder), load_tokenizer(folder)
    answers = partial(free.run, model, tokenizer, [Prompt("a", 0, [5, 6])])
    assert list(answers(Sampling(), seed=0, max_new_tokens=2))
    for n in (0, -1, 2.5):
        with pytest.raises(UserError, match=f"max_new_tokens: found {n}, allowed: 1"):
            list(answers(Sampling(), seed=0, max_new_tokens=n))
    with pytest.raises(UserError, match=r"sampling: found .*, allowed: a Sampling"):
        list(answers({"temperature": 1.0}, seed=0, max_new_tokens=2))


def test_any_iterable_of_records_and_a_folder_as_text(folder: Path) -> None:  # noqa: F811
    spec = PassSpec(**PASS)
    wanted = list(run_pass(RECORDS, folder, spec).rows)
    given = datasets.Dataset.from_list(RECORDS)
    assert list(run_pass(given, str(folder), spec).rows) == wanted
    assert [row["id"] for row in wanted] in (["a", "b"], ["b", "a"])


@pytest.mark.parametrize(
    ("records", "match"),
    [
        (RECORDS[:1], "found 1 training records, rows 0 to 2 are asked for"),
        (
            [RECORDS[0], {"prompt": "x", "reference": "y"}],
            "records: row 1 has no id",
        ),
        ([RECORDS[0], {"id": "b"}], "records: row 1 has no prompt, reference"),
        (
            [RECORDS[0], RECORDS[1] | {"reference": "a\ud800"}],
            r"record b: text: found the lone surrogate U\+D800",
        ),
    ],
)
def test_records_that_are_none_are_named(
    records: list[dict[str, Any]],
    match: str,
    folder: Path,  # noqa: F811
) -> None:
    with pytest.raises(UserError, match=match):
        run_pass(records, folder, PassSpec(**PASS))

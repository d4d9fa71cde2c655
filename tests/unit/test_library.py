"""The library refuses what the configuration refuses, in one line each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import pytest
from tests.unit.test_prompts import folder  # noqa: F401 (a fixture)

from selfgen.core.errors import UserError
from selfgen.core.spec import Device, Sampling
from selfgen.data.prompts import PromptSpec
from selfgen.generation.passes import run_pass
from selfgen.generation.spec import PassSpec
from selfgen.methods.bash import BashRows
from selfgen.mixing.spec import RowsSpec

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

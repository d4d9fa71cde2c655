"""The library refuses what the configuration refuses, in one line each."""

from __future__ import annotations

from dataclasses import replace
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
from selfgen.evaluation.exposure import forced_choices
from selfgen.evaluation.held_out_spec import LossSpec
from selfgen.generation import forced, free
from selfgen.generation.answers import run_answers
from selfgen.generation.decoding import Prompt
from selfgen.generation.forced import Reference
from selfgen.generation.passes import run_pass
from selfgen.generation.spec import AnswersSpec, PassSpec
from selfgen.methods.bash import BashRows
from selfgen.methods.rac import RacRows
from selfgen.mixing.blocks import BlocksSpec
from selfgen.mixing.build import build as mix_rows
from selfgen.mixing.schedules import Schedule
from selfgen.mixing.spec import RowsSpec
from selfgen.models.base import ModelSpec, create, prepare
from selfgen.models.loading import load
from selfgen.training.causal import train
from selfgen.training.spec import Lora, Optimization, TrainSpec, TwoPass

PROMPT = PromptSpec("{prompt}", "Again.", 64, 16)
PASS: dict[str, Any] = {
    **{"kind": "forced", "beta": 0.5, "sampling": Sampling(1.0), "seed": 0},
    **{"rows": (0, 2), "epochs": 1, "prompt": PROMPT, "device": Device("cpu", "fp32")},
}
TRAIN: dict[str, Any] = {
    **{"seed": 0, "optimization": Optimization(learning_rate=1e-3)},
    "device": Device("cpu", "fp32"),
}
ROWS: dict[str, Any] = {
    **{"seed": 0, "rows": (0, 2), "epochs": 1, "batch_size": 2, "prompt": PROMPT},
    "method": BashRows(mix="bash"),
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
        ("rows", (-1, 2), "PassSpec.rows.0: found -1, input should be"),
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
        (
            lambda: Sampling(1e-300),
            "Sampling.temperature: found 1e-300, allowed: 0, or",
        ),
        (
            lambda: Sampling(1e300),
            r"Sampling.temperature: found 1e\+300, allowed: 0, or",
        ),
        (lambda: PromptSpec("{prompt}", "", 0, 9), "PromptSpec.max_prompt_tokens"),
        (lambda: PromptSpec("Hi", "", 9, 9), "PromptSpec.template: found no {prompt}"),
        (
            lambda: PassSpec(**PASS | {"backend": "vllm"}),
            "found 'vllm' with kind 'forc",
        ),
        (
            lambda: PassSpec(**PASS | {"schedule": Schedule(kind="linear", k=1.0)}),
            "PassSpec.step_rows: found 0 with a schedule, allowed: 1 or more",
        ),
        (
            lambda: BashRows(mix="bahs"),
            "BashRows.mix: found 'bahs', input should be 'bash'",
        ),
        (lambda: BashRows(), "BashRows.mix: found nothing, this key is required"),
        (
            lambda: RacRows(mix="rac", corection_share=0.1),
            "RacRows.corection_share: found 0.1, extra inputs are not permitted",
        ),
        (
            lambda: Optimization(learning_rate=1e-3, scheduler="cosin"),
            "Optimization.scheduler: found 'cosin', input should be 'cosine', 'linear'",
        ),
        (lambda: TrainSpec(**TRAIN | {"loss": "dpo"}), "TrainSpec.loss.*: found 'dpo'"),
        (
            lambda: TrainSpec(**TRAIN | {"device": "cpu"}),
            "TrainSpec.device: found 'cpu'",
        ),
        (lambda: BlocksSpec(2, 0, 0, 1, 1), "BlocksSpec.block_tokens: found 0"),
        (lambda: LossSpec(0, 8, Device()), "LossSpec.rows: found 0"),
        (
            lambda: ModelSpec("radnom"),
            "ModelSpec.kind: found 'radnom', allowed: 'gguf'",
        ),
        (
            lambda: create(ModelSpec("random", model_type="lama")),
            "found 'lama' with None",
        ),
        (
            lambda: create(
                ModelSpec("random", None, None, "llama", {"hidden_size": "x"})
            ),
            "model_type: found 'llama' with {'hidden_size': 'x'}, of which transf",
        ),
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
    with pytest.raises(UserError, match=match) as said:
        make()
    assert "\n" not in str(said.value)


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
    "keys", [{"epochs": 3}, {"kind": "free", "candidates": 3}], ids=str
)
def test_what_is_drawn_for_one_prompt_reads_it_once(
    keys: dict[str, Any],
    folder: Path,  # noqa: F811
) -> None:
    """Two records in two slots, three draws each; in six slots each reads for itself."""
    prompt = ": which of these is the largest, and which comes after it?"
    records = [record | {"prompt": record["id"] + prompt} for record in RECORDS]
    spec = PassSpec(**PASS | keys)
    by_slots = {}
    for slots in (2, 6):
        made = run_pass(records, folder, spec, batch_size=slots, engine="speculative")
        rows = sorted(made.rows, key=lambda row: (row["id"], row["epoch"]))
        by_slots[slots] = rows, made.facts["forwarded_tokens"]
    (two, few), (six, many) = by_slots[2], by_slots[6]
    assert two == six and len(six) == 6
    tokens = {
        len(example) for example in map(str.encode, (r["prompt"] for r in records))
    }
    assert few < 0.7 * many, (few, many, tokens)


@pytest.mark.parametrize(
    ("records", "match"),
    [
        (RECORDS[:1], "found 1 training records, rows 0 to 2 are asked for"),
        (None, "records: found None, allowed: rows by column"),
        ("records.json", "records: found 'records.json', allowed: rows by column"),
        ({"id": ["a", "b"]}, "records: found {'id'.*, allowed: rows by column"),
        (["a", "b"], "records: row 0: found 'a', no columns"),
        ([RECORDS[0] | {"id": None}, RECORDS[1]], "the id of row 0: text: found None"),
        ([RECORDS[0] | {"id": "\ud800"}, RECORDS[1]], "id of row 0: .*surrogate"),
        ([RECORDS[0], RECORDS[1] | {"prompt": None}], "record b: text: found None"),
        ([RECORDS[0], RECORDS[1] | {"reference": 5}], "record b: text: found 5;"),
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
    records: Any,
    match: str,
    folder: Path,  # noqa: F811
) -> None:
    with pytest.raises(UserError, match=match):
        run_pass(records, folder, PassSpec(**PASS))


def test_a_slice_of_none_is_refused(folder: Path) -> None:  # noqa: F811
    for rows in ((1, 1), (2, 1)):
        with pytest.raises(
            UserError, match=r"rows: found \(., 1\), allowed: a first one"
        ):
            run_pass(RECORDS, folder, PassSpec(**PASS | {"rows": rows}))


@pytest.mark.parametrize("weights", ["/no/such", "gpt2", None, 5])
def test_a_folder_that_is_none_is_named(weights: Any) -> None:
    with pytest.raises(UserError, match=f"model: found {weights}, allowed: a folder"):
        run_pass(RECORDS, weights, PassSpec(**PASS))


def test_a_folder_without_a_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{tmp_path}: its tokenizer cannot be read: "):
        run_pass(RECORDS, tmp_path, PassSpec(**PASS))


def test_a_pass_that_does_not_fit_its_rows_is_refused(folder: Path) -> None:  # noqa: F811
    tokenizer = load_tokenizer(folder)
    mixed = [*run_pass(RECORDS, folder, PassSpec(**PASS)).rows]
    drafts = [*run_pass(RECORDS, folder, PassSpec(**PASS | {"kind": "free"})).rows]
    bash = RowsSpec(**ROWS)
    corrections = RacRows(mix="rac", correction_share=1.0)
    rac = RowsSpec(**ROWS | {"method": corrections})
    rows = mix_rows(RECORDS, mixed, bash, tokenizer)
    assert mix_rows(iter(RECORDS), iter(mixed), bash, tokenizer) == rows
    for passes, spec, match in [
        (drafts, bash, "as the mixed answer, needed are . tokens, as many as the ref"),
        (mixed, rac, r"the row of . has no text, it has id, .*; is it the pass of ano"),
        ([{"epoch": 0}], bash, "pass: the row of None has no id"),
        (None, bash, "pass: found None, allowed: its rows"),
        (mixed, RowsSpec(**ROWS | {"method": "bash"}), "method: found 'bash', allowed"),
        (mixed, PassSpec(**PASS), "spec: found PassSpec.*, allowed: a RowsSpec"),
    ]:
        with pytest.raises(UserError, match=match):
            mix_rows(RECORDS, passes, spec, tokenizer)


def test_answers_to_records_that_are_none_are_refused(folder: Path) -> None:  # noqa: F811
    direct = AnswersSpec(
        "direct", ("test",), PROMPT, Sampling(), 0, Device("cpu", "fp32")
    )
    assert len([*run_answers(RECORDS, [], str(folder), direct).rows]) == 2
    for records, drafts, spec, match in [
        (None, [], direct, "records: found None, allowed: rows by column"),
        ([{"id": "a"}], [], direct, "records: row 0 has no prompt"),
        (
            [{"id": "a", "prompt": 5}],
            [],
            direct,
            "record a: text: found 5; allowed: Unicode text",
        ),
        (
            RECORDS,
            [{"id": "a"}],
            replace(direct, decoding="corrected"),
            "row 0 has no te",
        ),
        (
            RECORDS,
            [],
            PassSpec(**PASS),
            "spec: found PassSpec.*, allowed: a AnswersSpec",
        ),
    ]:
        with pytest.raises(UserError, match=match):
            run_answers(records, drafts, folder, spec)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"rows": None}, "rows: found None, allowed: rows, or a path of some"),
        (
            {"rows": "rows.parquet"},
            "rows: found 'rows.parquet', allowed: rows, or a path",
        ),
        ({"rows": [1]}, "rows: row 0 has no step, id, input_ids, labels"),
        (
            {"rows": [{"step": 0, "id": "a", "input_ids": [5]}]},
            "rows: row 0 has no labels",
        ),
        ({"micro_batch_tokens": -1}, "micro_batch_tokens: found -1, allowed: 0 or mo"),
        ({"spec": None}, "spec: found None, allowed: a TrainSpec"),
        (
            {"model": torch.nn.Linear(2, 2)},
            "found Linear, allowed: a causal LM of tran",
        ),
        (
            {"spec": TrainSpec(**TRAIN | {"loss": TwoPass()})},
            "rows: the row a has no epoch",
        ),
        (
            {
                "spec": TrainSpec(
                    **TRAIN
                    | {
                        "optimization": Optimization(
                            learning_rate=1e-3, lora=Lora(target_modules=["none"])
                        )
                    }
                )
            },
            r"lora: found \['none'\]: Target modules",
        ),
    ],
)
def test_a_training_that_cannot_be_is_refused(changes: Any, match: str) -> None:
    row = {"step": 0, "id": "a", "input_ids": [5, 6, 7], "labels": [-100, 6, 7]}
    given = {"model": build("llama"), "rows": [row], "spec": TrainSpec(**TRAIN)}
    held = {key: numpy.array(row[key]) for key in ("input_ids", "labels")}
    curves = [
        train(build("llama"), [some], TrainSpec(**TRAIN))[1].curve
        for some in (row, row | held)
    ]
    assert curves[0][0]["loss"] == curves[1][0]["loss"]
    with pytest.raises(UserError, match=match):
        train(**given | changes)


@pytest.mark.parametrize("model", [None, "gpt2", torch.nn.Linear(2, 2)])
def test_what_is_no_model_is_refused(model: Any) -> None:
    row = Reference("a", 0, [5, 6], [8, 9, 2])
    with pytest.raises(
        UserError, match=r"model: found .*, allowed: a causal LM of trans"
    ):
        list(forced.run(model, [row], PassSpec(**PASS), [0], [2]))
    with pytest.raises(
        UserError, match="rows: row 0 has no prompt_ids or no answer_ids"
    ):
        forced_choices(build("llama"), [vars(row)])


def test_a_model_is_not_written_over(folder: Path, tmp_path: Path) -> None:  # noqa: F811
    with pytest.raises(
        UserError, match=f"{folder}: found something here, allowed: an em"
    ):
        prepare(ModelSpec("folder"), str(folder), str(folder))
    prepare(ModelSpec("folder"), str(folder), str(tmp_path / "copy"))
    assert load_tokenizer(tmp_path / "copy")
    with pytest.raises(
        UserError, match="source: found none, which a model of kind fold"
    ):
        prepare(ModelSpec("folder"), None, tmp_path / "none")

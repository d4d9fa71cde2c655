"""Online scheduled sampling against the offline pass of the forced engine.

By hand: a model that after token v is sure of v + 1 (token 3 after 8). Prompt 4, reference
6 6 3 and EOS 2; everything that may be mixed is mixed:

    position       0    1    2    3    4
    reference      4    6    6    3    2
    model reads    4    5    6    7    2
    labels      -100    6    6    3    2

The choice at 2 is 6, from the 5 that was drawn at 1; two passes draw 7 there, from the
reference's 6.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from selfgen.core.errors import UserError
from selfgen.core.spec import Device, Steps, from_json, to_json
from selfgen.data.examples import examples_of
from selfgen.generation import ends, forced
from selfgen.generation.passes import pass_over
from selfgen.mixing.build import mix
from selfgen.mixing.schedules import Schedule, rate_at
from selfgen.models.loading import load
from selfgen.training import causal
from selfgen.training.online import OnlineLoss
from selfgen.training.spec import Lora, Online, TrainSpec, TwoPass
from tests.golden.conftest import EOS, KINDS, SPECIAL, build
from tests.golden.test_forced import BETAS, references, spec_of, unmixed
from tests.golden.test_mixing import Table
from tests.golden.test_two_pass import rows
from tests.unit.test_prompts import folder, tokenizer  # noqa: F401 (fixtures)
from tests.unit.test_rows import BASH, PASS, PROMPT, ROWS, records
from tests.unit.test_training import SPEC, altered, assert_same

Rows = list[dict[str, Any]]
RISING = Schedule(kind="linear", k=1.0, c=0.02)
NEVER_AGAIN = 1000
COUNTS = ("generated_tokens", "drawn_tokens", "changed_tokens")


def fit(**changes: Any) -> tuple[Any, causal.Outcome]:
    given = {"rows": rows(), "spec": SPEC, "model": build("llama")} | changes
    given = {"banned": SPECIAL, "stops": [EOS]} | given
    return causal.train(
        given.pop("model"), given.pop("rows"), given.pop("spec"), **given
    )


def online(changes: dict[str, Any] | None = None, **loss: Any) -> TrainSpec:
    return altered(SPEC, loss=Online(**{"beta": 0.5} | loss), **(changes or {}))


def mixed(model: Any, given: Rows, banned: Any = SPECIAL, **keys: Any) -> Rows:
    """The rows of the first step, as training would read them."""
    loss = OnlineLoss(model, Online(**keys), 7, 6, banned, [EOS])
    loss.begin([given], None, Accelerator(cpu=True))
    return loss.at_step(given, 0)


def offline(model: Any, given: Rows, spec: TrainSpec, total: int = 6) -> Rows:
    """The rows as a pass of BASH by ``model`` mixes them."""
    loss = spec.loss
    asked = []
    for row in given:
        start = row["labels"].count(-100)
        rate = rate_at(loss.schedule, loss.beta, row["step"], total)
        ids, rates = row["input_ids"], [rate] * (len(row["labels"]) - start)
        asked.append(
            forced.Reference(row["id"], row["epoch"], ids[:start], ids[start:], rates)
        )
    drawing = spec_of(seed=spec.seed, sampling=loss.sampling, eos=loss.eos)
    made = {
        row["id"]: row["tokens"]
        for row in forced.run(model.eval(), asked, drawing, SPECIAL, [EOS])
    }
    return [
        row
        | {"input_ids": [*row["input_ids"][: -len(made[row["id"]])], *made[row["id"]]]}
        for row in given
    ]


@pytest.mark.parametrize(
    ("key", "value"),
    [("beta", 1.5), ("every", 0), ("eos", "maybe"), ("top_p", 0.0), ("span", 2)],
)
def test_what_cannot_be_drawn_is_refused(key: str, value: Any) -> None:
    assert Online(beta=0.5)
    with pytest.raises(UserError, match=rf"Online.{key}: found {value!r}"):
        Online(**{"beta": 0.5, key: value})


def test_a_spec_is_read_as_it_was_written() -> None:
    """Of two losses, the keys of one could pass for the other."""
    for loss in (Online(), Online(every=4, top_k=3, schedule=RISING), TwoPass()):
        spec = replace(SPEC, loss=loss)
        again = from_json(TrainSpec, to_json(spec))
        assert (again, type(again.loss)) == (spec, type(loss))


def test_by_hand() -> None:
    table = torch.zeros(9, 9)
    table[range(9), [1, 2, 3, 4, 5, 6, 7, 8, 3]] = 50.0
    row = {"id": "a", "epoch": 0, "step": 0, "input_ids": [4, 6, 6, 3, EOS]}
    row["labels"] = [-100, 6, 6, 3, EOS]
    for temperature in (0.0, 1.0):
        (found,) = mixed(Table(table), [row], beta=1.0, temperature=temperature)
        assert found["input_ids"] == [4, 5, 6, 7, EOS]
        assert found["labels"] == row["labels"]
    assert row["input_ids"] == [4, 6, 6, 3, EOS], "the given row is left as it is"


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize(
    "keys",
    [
        {"temperature": 0.0},
        {"temperature": 1.0},
        {"temperature": 9.0, "top_k": 7, "top_p": 0.8, "eos": "keep"},
    ],
    ids=["greedy", "sampled", "truncated"],
)
@pytest.mark.parametrize("kind", list(KINDS))
def test_the_first_draw_is_that_of_the_pass(
    kind: str, keys: dict[str, Any], beta: float
) -> None:
    """Of the same seed, rate and addresses; a model in training mode draws as one that is
    not."""
    loss = Online(beta=beta, **keys)
    spec = spec_of(beta=beta, sampling=loss.sampling, eos=loss.eos)
    answers = references(9)
    wanted = {
        made["id"]: made["tokens"]
        for made in forced.run(build(kind), answers, spec, SPECIAL, [EOS])
    }
    given = unmixed(answers)
    found = mixed(build(kind).train(), given, beta=beta, **keys)
    for row, mine in zip(answers, found, strict=True):
        assert mine["input_ids"] == [*row.prompt_ids, *wanted[row.id]]
        assert mine["labels"][-len(row.answer_ids) :] == list(row.answer_ids)
    same = [row["input_ids"] for row in found] == [row["input_ids"] for row in given]
    assert same == (beta == 0)


@pytest.mark.parametrize("schedule", [None, RISING])
@pytest.mark.parametrize("lora", [None, Lora(rank=4, alpha=8)])
def test_drawn_once_it_is_bash(schedule: Schedule | None, lora: Lora | None) -> None:
    """Bit for bit, and for as many labelled and forwarded tokens."""
    keys = {"every": NEVER_AGAIN, "schedule": schedule, "beta": 0.6}
    spec = online({"lora": lora}, **keys)
    found, one = fit(spec=spec)
    mixed_before = offline(build("llama"), rows(), spec)
    expected, two = fit(rows=mixed_before, spec=replace(spec, loss=None))
    assert_same(expected, found, rtol=0, atol=0)
    assert (one.labelled_tokens, one.forwarded_tokens) == (
        two.labelled_tokens,
        two.forwarded_tokens,
    )
    assert mixed_before != rows()


def test_drawn_once_it_is_the_workflow_s_bash(folder: Path, tokenizer: Any) -> None:  # noqa: F811
    """From records to weights: pass, rows and training against plain rows and one training,
    over two epochs. The manifests count the same."""
    chosen = examples_of(records()[:10], PROMPT, tokenizer)
    facts: dict[str, Any] = {}
    passed = [*pass_over(load(folder).eval(), tokenizer, chosen, PASS, facts).rows]
    bash = mix(chosen, passed, BASH, tokenizer)
    plain = mix(chosen, [], ROWS, tokenizer)
    model = load(folder)
    options = {
        "banned": ends.banned(model, tokenizer),
        "stops": ends.stops(model, tokenizer),
    }
    expected, _ = fit(model=load(folder), rows=bash, **options)
    spec = online(every=NEVER_AGAIN)
    found, outcome = fit(model=model, rows=plain, spec=spec, **options)
    assert_same(expected, found, rtol=0, atol=0)
    for name in COUNTS:
        assert outcome.facts[name] == facts[name] > 0
    anew, _ = fit(model=load(folder), rows=plain, spec=online(), **options)
    with pytest.raises(AssertionError):
        assert_same(expected, anew, rtol=0, atol=0)


@pytest.mark.parametrize("every", [1, 2, 4])
def test_it_is_a_pass_between_trainings(every: int) -> None:
    """Bit for bit what comes of offline passes by the model of each window: train up to a
    window, mix its rows, start over with them as well."""
    spec = online(every=every, schedule=RISING, beta=0.6)
    found, outcome = fit(spec=spec)
    plain = replace(spec, loss=None)
    known: Rows = []
    for first in range(0, 6, every):
        model = build("llama")
        if first:
            model, _ = fit(rows=known, spec=replace(plain, steps=Steps(0, first, 6)))
        due = [row for row in rows() if first <= row["step"] < first + every]
        known += offline(model, due, spec)
    expected, other = fit(rows=known, spec=plain)
    assert_same(expected, found, rtol=0, atol=0)
    assert [p["loss"] for p in outcome.curve] == [p["loss"] for p in other.curve]


def test_tokens_follow_the_weights_as_they_move() -> None:
    """The pass before is right up to the first window's end, and no longer; where weights
    stay, for ever."""
    for every in (1, 2):
        spec = online(every=every)
        before = offline(build("llama"), rows(), spec)
        for rate, right in ((1e-2, every), (1e-12, 6)):
            changes = {"learning_rate": rate, "warmup_ratio": 0.0}
            _, found = fit(spec=altered(spec, **changes))
            _, old = fit(rows=before, spec=altered(replace(spec, loss=None), **changes))
            same = [
                a["loss"] == b["loss"]
                for a, b in zip(found.curve, old.curve, strict=True)
            ]
            assert same == [True] * right + [False] * (6 - right)


def test_beta_0_is_plain_training() -> None:
    """With dropout, too, which draws random numbers."""
    for lora in (None, Lora(rank=4, alpha=8, dropout=0.1)):
        plain, one = fit(spec=altered(SPEC, lora=lora))
        never, two = fit(spec=online({"lora": lora}, beta=0.0))
        assert_same(plain, never, rtol=0, atol=0)
        assert one.forwarded_tokens == two.forwarded_tokens
        assert two.facts["changed_tokens"] == two.facts["drawn_tokens"] == 0


def test_what_is_drawn_is_counted() -> None:
    _, plain = fit()
    _, once = fit(spec=online(every=NEVER_AGAIN))
    _, often = fit(spec=online())
    assert not {*COUNTS, "generation_seconds"} & plain.facts.keys()
    before = offline(build("llama"), rows(), online())
    changed = sum(
        a != b
        for one, two in zip(rows(), before, strict=True)
        for a, b in zip(one["input_ids"], two["input_ids"], strict=True)
    )
    assert once.facts["changed_tokens"] == changed > 0
    answers = sum(label != -100 for row in rows() for label in row["labels"])
    for run in (once, often):
        assert run.facts["generated_tokens"] == answers
        assert run.forwarded_tokens == plain.forwarded_tokens
        assert run.facts["generation_forwarded_tokens"] > 0
        assert run.facts["generation_seconds"] > 0 < run.seconds
    assert once.facts["drawn_tokens"] == often.facts["drawn_tokens"]


def test_micro_batches_change_no_draw() -> None:
    whole, one = fit(spec=online(), micro_batch_tokens=10_000)
    parts, two = fit(spec=online(), micro_batch_tokens=1)
    assert_same(whole, parts, rtol=1e-3, atol=1e-3)
    assert [one.facts[n] for n in COUNTS] == [two.facts[n] for n in COUNTS]


def test_dropout_changes_no_draw() -> None:
    """The model is in training mode before and after, and has no gradient of it."""
    model = build("gpt_neox")
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5
    found = mixed(model.train(), rows(1), beta=0.5)
    assert found == mixed(build("gpt_neox"), rows(1), beta=0.5)
    assert all(module.training for module in model.modules())
    assert all(p.grad is None and not p.is_inference() for p in model.parameters())


def test_banned_tokens_are_never_drawn_and_eos_where_it_may() -> None:
    model = build("llama")
    with torch.no_grad():
        model.get_output_embeddings().weight[5:] *= 1e-3
    for eos, banned in (("exclude", {0, 1, EOS}), ("keep", {0, 1})):
        keys = {"beta": 1.0, "temperature": 0.0, "eos": eos}
        drawn = {
            after
            for row, new in zip(rows(2), mixed(model, rows(2), **keys), strict=True)
            for before, after in zip(row["input_ids"], new["input_ids"], strict=True)
            if before != after
        }
        assert drawn and not drawn & banned
        assert (EOS in drawn) == (eos == "keep")


@pytest.mark.parametrize("every", [1, 4])
@pytest.mark.parametrize("done", [1, 2, 4, 5])
def test_resumed_equals_uninterrupted(tmp_path: Path, every: int, done: int) -> None:
    """In the middle of a window, at its ends, and in a last one that is cut short."""
    expected, outcome = fit(spec=online(every=every))

    def interrupt(steps: int, total: int) -> None:
        if steps == done + 1:
            raise KeyboardInterrupt

    given = {"spec": online(every=every), "scratch": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        fit(**given, checkpoint_minutes=0, progress=interrupt)
    steps: list[int] = []
    resumed, again = fit(**given, progress=lambda now, _: steps.append(now))
    assert steps[0] == done + 1
    assert_same(expected, resumed, rtol=0, atol=0)
    times = {"generation_seconds", "seconds"}
    told = [
        {k: v for k, v in run.facts.items() if k not in times}
        for run in (outcome, again)
    ]
    assert told[0] == told[1]
    assert [p["loss"] for p in again.curve] == [p["loss"] for p in outcome.curve]


def test_a_part_of_a_stage_has_the_windows_of_the_stage() -> None:
    """Its first rows are drawn at its start, the next where the stage would draw them."""
    spec = replace(online(every=2, schedule=RISING), steps=Steps(3, 6, 6))
    late = [row for row in rows() if row["step"] >= 3]
    found, _ = fit(rows=late, spec=spec)
    plain = replace(spec, loss=None)
    known = offline(build("llama"), late[:8], spec)
    model, _ = fit(rows=known, spec=replace(plain, steps=Steps(3, 4, 6)))
    known += offline(model, late[8:], spec)
    expected, _ = fit(rows=known, spec=plain)
    assert_same(expected, found, rtol=0, atol=0)


@pytest.fixture
def bf16() -> Iterator[Device]:
    """accelerate keeps one precision for a process."""
    AcceleratorState._reset_state()
    yield Device("cpu", "bf16")
    AcceleratorState._reset_state()


def test_weights_cast_for_the_draw_still_learn(bf16: Device) -> None:
    """Draws are made as training computes, which keeps nothing of theirs."""
    once = online({"device": bf16}, every=NEVER_AGAIN, temperature=0.0, beta=1.0)
    _, outcome = fit(spec=once, rows=rows(2))
    assert outcome.precision == "bf16"
    model = build("llama")
    with torch.autocast("cpu", torch.bfloat16):
        before = offline(model, rows(2), once, 2)
    _, expected = fit(spec=replace(once, loss=None), rows=before)
    for a, b in zip(outcome.curve, expected.curve, strict=True):
        assert a["loss"] == b["loss"]
        assert a["grad_norm"] == b["grad_norm"] > 0


@pytest.mark.slow
def test_compiled_layers_draw_the_same() -> None:
    (eager, one), (compiled, two) = (
        fit(rows=rows(3), spec=online(every=2), compile=compile)
        for compile in (False, True)
    )
    assert_same(eager, compiled, rtol=1e-3, atol=1e-3)
    assert [one.facts[n] for n in COUNTS] == [two.facts[n] for n in COUNTS]


@pytest.mark.parametrize(
    "labels", [[-100, 5, -100, 6], [4, 5, 6, 7], [-100] * 4], ids=["gap", "all", "none"]
)
def test_rows_without_an_answer_at_their_end_are_refused(labels: list[int]) -> None:
    row = {"step": 0, "id": "a", "epoch": 0, "input_ids": [4, 5, 6, 7]}
    with pytest.raises(UserError, match=r"^rows: labels of the row a: found others"):
        fit(rows=[row | {"labels": labels}], spec=online())


def test_logits_that_are_no_numbers_are_named_with_their_row() -> None:
    model = build("llama")
    loss = OnlineLoss(model, Online(beta=1.0), 7, 6, SPECIAL, [EOS])
    loss.begin([rows(1)], None, Accelerator(cpu=True))
    model.model.norm.weight.data[:] = float("nan")
    with pytest.raises(UserError, match=r"before token \d+ of the answer to 0-\d are"):
        loss.at_step(rows(1), 0)


def test_a_model_whose_caches_are_wrong_is_drawn_from_another_way() -> None:
    """The verdicts of ``generation.trial`` decide; Mamba's states are no keys and values."""
    given = rows(1)
    spec = online(beta=0.5)
    assert mixed(build("mamba"), given, **{"beta": 0.5}) == offline(
        build("mamba"), given, replace(spec, seed=7)
    )

"""Two-pass scheduled sampling against the offline pass, and parts of a stage.

By hand: a model that after token v is sure of v + 1 (token 3 after 8). Prompt 4, reference
6 6 3 and EOS 2; everything that may be mixed is mixed:

    position       0    1    2    3    4
    reference      4    6    6    3    2
    first pass          5    7    7    (4, but the last position is no context)
    second reads   4    5    7    7    2
    labels      -100    6    6    3    2

The choice at 3 is 7, from the reference's 6 at 2, and not 8, from the 7 that stands there
afterwards: a drawn token sees no earlier one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState

from selfgen.core.errors import UserError
from selfgen.core.spec import Device, Sampling, Steps
from selfgen.generation import forced
from selfgen.mixing.schedules import Schedule, rate_at
from selfgen.training import causal
from selfgen.training.spec import Lora, TrainSpec, TwoPass
from selfgen.training.two_pass import TwoPassLoss
from tests.golden.conftest import EOS, KINDS, SPECIAL, build
from tests.golden.test_forced import BETAS, references, spec_of, unmixed
from tests.golden.test_mixing import Table
from tests.unit.test_training import SPEC, altered, assert_same
from tests.unit.test_training import rows as plain_rows

Rows = list[dict[str, Any]]
FALLING = Schedule(kind="linear", k=1.0, c=0.02)


def rows(steps: int = 6) -> Rows:
    return [row | {"epoch": 0} for row in plain_rows(steps)]


def fit(**changes: Any) -> tuple[Any, causal.Outcome]:
    given = {"rows": rows(), "spec": SPEC, "model": build("llama")} | changes
    return causal.train(
        given.pop("model"), given.pop("rows"), given.pop("spec"), **given
    )


def two_pass(beta: float, temperature: float = 1.0, **changes: Any) -> TrainSpec:
    loss = TwoPass(beta=beta, temperature=temperature)
    return altered(SPEC, loss=loss, **changes)


def mixed(loss: TwoPassLoss, given: Rows, step: int = 0) -> list[list[int]]:
    return [
        row["input_ids"]
        for row in loss.mix(loss.at_step(given, step), torch.device("cpu"))
    ]


def loss_on(model: Any, beta: float, temperature: float = 1.0, **changes: Any) -> Any:
    schedule = changes.pop("schedule", None)
    spec = TwoPass(beta=beta, temperature=temperature, schedule=schedule)
    given = {"seed": 7, "total": 6, "banned": SPECIAL} | changes
    return TwoPassLoss(model, spec, **given)


@pytest.mark.parametrize(
    ("key", "value"), [("beta", 1.5), ("beta", -0.1), ("top_k", 5), ("top_p", 0.5)]
)
def test_what_two_passes_cannot_draw_is_refused(key: str, value: float) -> None:
    assert TwoPass(beta=0.5)
    with pytest.raises(UserError, match=rf"TwoPass.{key}: found {value}"):
        TwoPass(**{"beta": 0.5, key: value})


def test_by_hand() -> None:
    table = torch.zeros(9, 9)
    table[range(9), [1, 2, 3, 4, 5, 6, 7, 8, 3]] = 50.0
    row = {"id": "a", "epoch": 0, "step": 0, "input_ids": [4, 6, 6, 3, EOS]}
    row["labels"] = [-100, 6, 6, 3, EOS]
    model = Table(table)
    for temperature in (0.0, 1.0):
        loss = loss_on(model, 1.0, temperature)
        (found,) = loss.mix(loss.at_step([row], 0), torch.device("cpu"))
        assert found["input_ids"] == [4, 5, 7, 7, EOS]
        assert found["labels"] == row["labels"]
    assert row["input_ids"] == [4, 6, 6, 3, EOS], "the given row is left as it is"


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("kind", list(KINDS))
def test_mixed_as_the_onepass_pass(kind: str, temperature: float, beta: float) -> None:
    """The same tokens at the same places as a pass that a workflow runs beforehand."""
    spec = spec_of(kind="onepass", beta=beta, sampling=Sampling(temperature))
    answers = references(9)
    wanted = {
        made["id"]: made["tokens"]
        for made in forced.run(build(kind), answers, spec, SPECIAL, [EOS])
    }
    given = unmixed(answers)
    found = mixed(loss_on(build(kind).train(), beta, temperature), given)
    for row, ids in zip(answers, found, strict=True):
        assert ids == [*row.prompt_ids, *wanted[row.id]]
    assert (beta == 0) == (found == [row["input_ids"] for row in given])


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_training_reads_what_was_mixed(smoothing: float) -> None:
    """Greedy, a learning rate of almost nothing: each loss is the plain loss of rows that
    the offline pass has mixed."""
    still = {"learning_rate": 1e-12, "warmup_ratio": 0.0, "label_smoothing": smoothing}
    frozen = two_pass(0.5, temperature=0.0, **still)
    _, outcome = fit(spec=frozen, banned=SPECIAL)
    loss = loss_on(build("llama"), 0.5, 0.0, seed=SPEC.seed)
    given = rows()
    offline = [
        row | {"input_ids": ids}
        for row, ids in zip(given, mixed(loss, given), strict=True)
    ]
    _, expected = fit(rows=offline, spec=replace(frozen, loss=None))
    for a, b in zip(outcome.curve, expected.curve, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-6)
        assert a["grad_norm"] == pytest.approx(b["grad_norm"], rel=1e-5)


def test_beta_0_is_plain_training() -> None:
    lora = Lora(
        rank=4, alpha=8, dropout=0.1
    )  # with dropout, which draws random numbers
    for changes in ({}, {"lora": lora}):
        plain, one = fit(spec=altered(SPEC, **changes))
        never, two = fit(spec=two_pass(0.0, **changes))
        assert_same(plain, never, rtol=0, atol=0)
        assert one.forwarded_tokens == two.forwarded_tokens


def test_both_passes_count() -> None:
    _, plain = fit()
    _, always = fit(spec=two_pass(1.0), banned=SPECIAL)
    alone = sum(len(row["labels"]) for row in rows() if _answer(row) == 1)
    assert always.forwarded_tokens == 2 * plain.forwarded_tokens - alone
    assert always.labelled_tokens == plain.labelled_tokens


def _answer(row: dict[str, Any]) -> int:
    return causal.labelled([row])


def test_the_schedule_reaches_the_step() -> None:
    """A linear schedule whose reference share falls by two points each per cent of the
    stage; the second part of a stage goes on where the first has stopped."""
    given = rows(1) * 40
    given = [row | {"id": str(i)} for i, row in enumerate(given)]
    loss = loss_on(build("llama"), 0.6, schedule=FALLING, total=100)
    open_places = sum(_answer(row) - 1 for row in given)
    for step in (0, 10, 20, 30, 60):
        rate = rate_at(FALLING, 0.6, step, 100)
        assert rate == pytest.approx(min(0.6, 0.02 * step))
        drawn = sum(len(row["marks"]) for row in loss.at_step(given, step))
        assert drawn / open_places == pytest.approx(rate, abs=0.05)
    spec = altered(
        SPEC,
        loss=TwoPass(beta=1.0, schedule=FALLING),
        learning_rate=1e-12,
        warmup_ratio=0.0,
    )
    _, whole = fit(spec=spec, banned=SPECIAL)
    second = replace(spec, steps=Steps(3, 6, 6))
    _, part = fit(rows=rows()[24:], spec=second, banned=SPECIAL)
    for a, b in zip(whole.curve[3:], part.curve, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-6)
    _, first = fit(rows=rows(3), spec=spec, banned=SPECIAL)
    pairs = list(zip(first.curve, whole.curve[:3], strict=True))
    assert pairs[0][0]["loss"] == pairs[0][1]["loss"], "nothing is mixed at step 0"
    assert pairs[1][0]["loss"] != pairs[1][1]["loss"], "half a stage is no stage"


def test_micro_batches_change_no_draw() -> None:
    whole, one = fit(spec=two_pass(0.5), banned=SPECIAL, micro_batch_tokens=10_000)
    parts, two = fit(spec=two_pass(0.5), banned=SPECIAL, micro_batch_tokens=1)
    for a, b in zip(one.curve, two.curve, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-4)
        assert a["grad_norm"] == pytest.approx(b["grad_norm"], rel=1e-3)
    assert one.forwarded_tokens == two.forwarded_tokens
    assert_same(whole, parts, rtol=1e-3, atol=1e-3)
    loss = loss_on(build("llama"), 0.5)
    given = rows(1)
    alone = [ids for row in given for ids in mixed(loss, [row])]
    assert mixed(loss, given) == alone
    assert alone != [row["input_ids"] for row in given]


def test_an_epoch_draws_anew() -> None:
    loss = loss_on(build("llama"), 0.5)
    other = [row | {"epoch": 1} for row in rows(1)]
    assert mixed(loss, rows(1)) != mixed(loss, other)


def test_banned_tokens_are_never_drawn() -> None:
    model = build("llama")
    with torch.no_grad():
        model.get_output_embeddings().weight[5:] *= 1e-3
    given = [row | {"labels": row["input_ids"]} for row in rows(2)]
    for banned in ([0, 1, EOS], [3, 4]):
        drawn: set[int] = set()
        loss = loss_on(model, 1.0, 0.0, banned=banned)
        for before, after in zip(given, mixed(loss, given), strict=True):
            drawn |= {
                b for a, b in zip(before["input_ids"], after, strict=True) if a != b
            }
        assert not drawn & set(banned)
        assert drawn & ({0, 1, EOS, 3, 4} - set(banned)), "the likely tokens are these"


def test_dropout_changes_no_draw() -> None:
    """The model is in training mode before and after."""
    model = build("gpt_neox")
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5
    loss = loss_on(model.train(), 0.5)
    assert mixed(loss, rows(1)) == mixed(loss_on(build("gpt_neox"), 0.5), rows(1))
    assert all(module.training for module in loss.modules())


def test_resumed_equals_uninterrupted(tmp_path: Any) -> None:
    spec = two_pass(0.5)
    expected, outcome = fit(spec=spec, banned=SPECIAL)

    def interrupt(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    given = {"spec": spec, "banned": SPECIAL, "scratch": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        fit(**given, checkpoint_minutes=0, progress=interrupt)
    resumed, again = fit(**given)
    assert_same(expected, resumed, rtol=0, atol=0)
    assert outcome.forwarded_tokens == again.forwarded_tokens


@pytest.fixture
def bf16() -> Iterator[Device]:
    """accelerate keeps one precision for a process."""
    AcceleratorState._reset_state()
    yield Device("cpu", "bf16")
    AcceleratorState._reset_state()


def test_weights_cast_in_the_first_pass_still_learn(bf16: Device) -> None:
    _, expected = fit(spec=two_pass(0.0, device=bf16), rows=rows(1))
    spec = two_pass(1.0, device=bf16, learning_rate=1e-3)
    _, outcome = fit(spec=spec, rows=rows(1), banned=SPECIAL)
    assert outcome.precision == "bf16"
    norms = [run.curve[0]["grad_norm"] for run in (outcome, expected)]
    assert 0.2 < norms[0] / norms[1] < 5


# Parts of a stage: ``TrainSpec.steps``.


@pytest.mark.parametrize("scheduler", ["cosine", "linear", "constant_with_warmup"])
def test_rates_of_two_halves_are_those_of_the_whole(scheduler: str) -> None:
    spec = altered(SPEC, scheduler=scheduler, warmup_ratio=0.5)
    _, whole = fit(spec=spec)
    halves = [
        fit(
            rows=[row for row in rows() if first <= row["step"] < last],
            spec=replace(spec, steps=Steps(first, last, 6)),
        )[1].curve
        for first, last in ((0, 2), (2, 6))
    ]
    found = [(p["step"], p["learning_rate"]) for half in halves for p in half]
    assert found == [(p["step"], p["learning_rate"]) for p in whole.curve]
    assert len({rate for _, rate in found}) > 3, "the rate does move"


def test_a_part_resumes_bit_for_bit(tmp_path: Any) -> None:
    spec = replace(SPEC, steps=Steps(2, 6, 9))
    given = [row for row in rows() if row["step"] >= 2]
    expected, outcome = fit(rows=given, spec=spec)

    def interrupt(done: int, total: int) -> None:
        assert total == 4
        if done == 3:
            raise KeyboardInterrupt

    changes = {"rows": given, "spec": spec, "scratch": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        fit(**changes, checkpoint_minutes=0, progress=interrupt)
    resumed, again = fit(**changes)
    assert_same(expected, resumed, rtol=0, atol=0)
    assert [p["step"] for p in again.curve] == [2, 3, 4, 5]
    rates = [[p["learning_rate"] for p in run.curve] for run in (outcome, again)]
    assert rates[0] == rates[1]


def test_a_part_is_exactly_its_steps() -> None:
    spec = replace(SPEC, steps=Steps(2, 6, 9))
    late = [row for row in rows() if row["step"] >= 3]
    with pytest.raises(UserError, match="step 3 of row 3-0 is out of order"):
        fit(rows=late, spec=spec)
    short = [row for row in rows() if 2 <= row["step"] < 5]
    with pytest.raises(UserError, match="found 3 steps, steps 2 to 5 are due"):
        fit(rows=short, spec=spec)


def test_logits_that_are_no_numbers_are_named_with_their_row() -> None:
    model = build("llama")
    loss = loss_on(model, 1.0)
    given = loss.at_step(rows(1)[:2], 0)
    model.model.norm.weight.data[:] = float("nan")
    with pytest.raises(
        UserError, match=r"before token \d+ of the answer of \S+ are not"
    ):
        loss.mix(given, torch.device("cpu"))

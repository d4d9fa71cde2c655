"""Every method of the configuration in one real run, and what its files say."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from selfgen.mixing.rows import aligned
from tests.conftest import Once, Warm
from tests.flow import Flow, clone

pytestmark = pytest.mark.slow

CONFIG = Path(__file__).parent / "methods.yaml"
NODES = Path("results/models/sums/tiny")


@pytest.fixture(scope="module")
def run(once: Once, warm: Warm) -> Flow:
    def make(root: Path) -> None:
        flow = clone(root)
        warm(flow)
        shutil.copy2(CONFIG, flow.root / "methods.yaml")
        done = flow.snakemake("--cores", "2", "--configfile", "methods.yaml")
        assert done.returncode == 0, done.stdout

    return once("methods", make)


def manifest(flow: Flow, node: str) -> dict[str, Any]:
    return json.loads((flow.root / NODES / node / "seed0/manifest.json").read_text())


def rows(flow: Flow, node: str) -> list[dict[str, Any]]:
    import pyarrow.parquet

    path = flow.root / f"results/rows/sums/tiny/{node}/seed0.parquet"
    return pyarrow.parquet.read_table(path).to_pylist()


def test_a_second_call_has_nothing_to_do(run: Flow) -> None:
    assert run.rules("--configfile", "methods.yaml") == {}


def test_every_method_is_in_the_table(run: Flow) -> None:
    table = csv.DictReader((run.root / "results/tables/main.csv").open())
    found = {(line["method"], line["decoding"]) for line in table}
    assert {"spin", "rac-dpo", "two-pass", "online", "random"} <= {m for m, _ in found}
    corrected = {("rac", "corrected"), ("rac", "corrected-2"), ("sft", "corrected")}
    assert corrected <= found
    assert not {m for m, _ in found if ".r" in m}
    table = csv.DictReader((run.root / "results/tables/online.csv").open())
    tokens = {line["method"]: float(line["generated_tokens"]) for line in table}
    assert {"sft-continued", "bash", "span", "online"} <= set(tokens)
    assert not {"random", "realigned", "rac", "sft-whole"} & set(tokens)
    assert tokens["online"] > 0 and tokens["sft-continued"] == 0


def test_methods_of_a_stage_take_the_same_steps(run: Flow) -> None:
    for node in (
        "sft-continued",
        "bash",
        "span",
        "rising",
        "random",
        "two-pass",
        "online",
        "rac",
        "masked",
        "rac-hint",
        "rac-token",
    ):
        found = manifest(run, node)
        assert (found["steps"], found["labelled_tokens"]) == (
            3,
            manifest(run, "bash")["labelled_tokens"],
        ), node
    parts = [
        manifest(run, node)["steps"] for node in ("rounds.r1", "rounds.r2", "rounds")
    ]
    assert parts == [1, 1, 1]
    for node, other in (("sft-wall", "bash"), ("online-wall", "online")):
        assert manifest(run, node)["steps"] >= manifest(run, other)["steps"] == 3


def test_no_weights_are_kept_and_nothing_is_made_again(run: Flow) -> None:
    models = run.root / NODES
    assert [*models.glob("*/seed0/manifest.json")]
    assert not [*models.glob("*/seed0/weights")]
    assert run.rules("--configfile", "methods.yaml") == {}


def test_one_schedule_takes_the_rows_of_both_stages(run: Flow) -> None:
    sft, second = rows(run, "sft"), rows(run, "sft-continued")
    moved = [row | {"step": row["step"] + 3} for row in second]
    assert rows(run, "sft-whole") == sft + moved
    assert manifest(run, "sft-whole")["steps"] == 6


def test_aligned_labels_go_with_the_runs_of_the_same_pass(run: Flow) -> None:
    pairs = [*zip(rows(run, "span"), rows(run, "span-aligned"), strict=True)]
    assert all(one["input_ids"] == other["input_ids"] for one, other in pairs)
    for one, other in pairs:
        start = next(t for t, label in enumerate(one["labels"]) if label != -100)
        mixed, due = one["input_ids"][start:], one["labels"][start:]
        assert other["labels"][start:] == aligned(due, mixed)
    assert any(one["labels"] != other["labels"] for one, other in pairs)


def test_the_first_round_of_a_schedule_from_0_is_plain(run: Flow) -> None:
    plain = rows(run, "sft-continued")
    first = rows(run, "rounds.r1")
    assert first == [row for row in plain if row["step"] == 0]
    last = rows(run, "rounds")
    assert {row["step"] for row in last} == {2}
    assert any(row["input_ids"][-len(row["labels"]) :] != row["labels"] for row in last)


def test_bash_can_start_from_the_base(run: Flow) -> None:
    """Its tokens are the base's, and its steps and labels those of SFT."""
    sft, bash = rows(run, "sft"), rows(run, "bash-base")
    assert [r["labels"] for r in bash] == [r["labels"] for r in sft]
    assert [r["input_ids"] for r in bash] != [r["input_ids"] for r in sft]
    assert [*(run.root / "results/passes/sums/tiny/base").glob("forced-b0.5-*")]


def test_random_tokens_stand_where_bash_differs(run: Flow) -> None:
    plain, bash, random = (rows(run, n) for n in ("sft-continued", "bash", "random"))
    for p, b, r in zip(plain, bash, random, strict=True):
        where = [
            [x != y for x, y in zip(p["input_ids"], other["input_ids"], strict=True)]
            for other in (b, r)
        ]
        assert where[0] == where[1]


def test_online_draws_count_as_a_pass(run: Flow) -> None:
    """In the dose, and in the cost, where BASH has its pass."""
    found = manifest(run, "online")
    assert rows(run, "online") == rows(run, "sft-continued")
    changed, made = found["changed_tokens"], found["generated_tokens"]
    assert 0 < changed <= found["drawn_tokens"] < made == found["labelled_tokens"]
    table = (run.root / "results/tables/main.md").read_text()
    (line,) = (line for line in table.splitlines() if "| Online " in line)
    assert f"| {100 * changed / made:.1f}" in line
    costs = csv.DictReader((run.root / "results/tables/cost.csv").open())
    passes = {line["method"]: line["pass_seconds"] for line in costs}
    assert passes["online"] and passes["bash"] and not passes["two-pass"]
    note = "What a method draws while it trains is a pass"
    assert note in (run.root / "results/tables/cost.md").read_text()


def test_pairs_are_chosen_and_rejected(run: Flow) -> None:
    for node in ("spin", "rac-dpo"):
        found = rows(run, node)
        assert [row["role"] for row in found] == ["chosen", "rejected"] * (
            len(found) // 2
        )
    curve = (run.root / NODES / "rac-dpo/seed0/curve.jsonl").read_text().splitlines()
    assert json.loads(curve[0])["margin"] == 0


def test_exposure_is_measured_against_the_oracle(run: Flow) -> None:
    lines = list(csv.DictReader((run.root / "results/tables/exposure.csv").open()))
    assert "sft-continued" not in {line["method"] for line in lines}
    bash = [line for line in lines if line["method"] == "bash"]
    by_length, fixed = (
        {line["length"]: line for line in bash if line["answers"] == answers}
        for answers in ("ended", "fixed")
    )
    assert int(fixed["2"]["n"]) <= int(by_length["2"]["n"])
    assert (fixed["999"]["n"], fixed["999"]["gap"]) == ("0", "")
    gap = float(fixed["2"]["free"]) - float(fixed["2"]["gold"])
    assert gap == pytest.approx(float(fixed["2"]["gap"]), abs=1e-5)
    assert float(by_length["4"]["free"]) > float(by_length["2"]["free"]) > 0
    assert by_length["999"]["ex_acc_err"] == ""
    acc = float(by_length["4"]["acc_err"])
    excess = float(by_length["4"]["ex_acc_err"])
    assert acc == pytest.approx(4 * (1 + excess / 100), rel=1e-4)


def test_steps_are_checked(run: Flow) -> None:
    """After own and after reference steps, of every trained method; and the rows of readings
    by the checker ask for what is right."""
    table = csv.DictReader((run.root / "results/tables/steps.csv").open())
    found = {line["method"]: line for line in table}
    main = csv.DictReader((run.root / "results/tables/main.csv").open())
    assert set(found) == {
        line["method"] for line in main if line["decoding"] == "direct"
    }
    for line in found.values():
        free, forced, excess = (float(line[x]) for x in ("free", "forced", "excess"))
        assert 0 < forced <= 1 and abs(free - forced - excess) < 1e-5
    # The same pass as BASH, other labels; the same drafts as RAC, none of another prompt.
    bash, realigned = rows(run, "bash"), rows(run, "realigned")
    assert [row["input_ids"] for row in bash] == [row["input_ids"] for row in realigned]
    assert [row["labels"] for row in bash] != [row["labels"] for row in realigned]
    for row in rows(run, "rac-inline"):
        asked = [i for i in row["labels"] if i != -100]
        assert asked[-1] == row["input_ids"][-1] == max(row["labels"][-1], 0)

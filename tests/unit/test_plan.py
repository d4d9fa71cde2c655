"""What a run would take: counted by hand, beside a dry-run, and the shipped page."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from tests.flow import REPO, Flow
from tests.unit.test_training import SPEC, rows

from selfgen.benchmarks import JUDGED
from selfgen.cli.main import main
from selfgen.config import load
from selfgen.core.errors import UserError
from selfgen.data.chat_templates import CHATML
from selfgen.graph import cost
from selfgen.graph.steps import Graph
from selfgen.models.base import ModelSpec, create
from selfgen.report import plan
from selfgen.report.plan import DRAWING, READING, TRAINING, WRITING, Work
from selfgen.tasks import DATASETS
from selfgen.training.causal import train

SMALL = REPO / "tests" / "workflow" / "small.yaml"
SMALL_TASK = yaml.safe_load(SMALL.read_text())["tasks"]["descriptions"]
PAGES = REPO / "docs" / "reference" / "plan"
DATA = REPO.parent / "shared" / "data"
RATES = plan.Rates({TRAINING: 0.5, DRAWING: 0.1, WRITING: 0.01}, "said so")


def graph(**more: dict) -> Graph:
    raw = yaml.safe_load(SMALL.read_text())
    for key, values in more.items():
        raw[key] = {**raw.get(key, {}), **values}
    return Graph(load(raw))


def test_work_by_hand() -> None:
    """Prompts of 512 tokens, answers of 24; 8 rows are trained on, 4 are answered. Three
    methods train; BASH has a pass; four are asked."""
    trained, drawn, written = cost.works(graph())
    assert trained == Work(TRAINING, "descriptions", "tiny", 3, 3 * 8 * 536)
    assert drawn == Work(DRAWING, "descriptions", "tiny", 1, read=8 * 512, written=192)
    answered = {"read": 4 * 4 * 512, "written": 4 * 4 * 24}
    assert written == Work(WRITING, "descriptions", "tiny", 4, **answered)


def test_rows_of_other_methods() -> None:
    """RAC: half the rows have a draft of 24 and a turn of 32 more, and free drafts. SPIN:
    two rows of an example, read once before; the drafts are RAC's."""
    second = {"parent": "sft", "stage": "second"}
    rac = {"label": "RAC", "mix": "rac", **second}
    spin = {"label": "SPIN", "mix": "spin", **second}
    before = cost.works(graph())
    one = cost.works(graph(methods={"rac": rac}))
    both = cost.works(graph(methods={"rac": rac, "spin": spin}))
    assert one[0].trained - before[0].trained == 8 * (536 + 28)
    assert one[2].written - before[2].written == (8 + 4) * 24
    assert both[0].trained - one[0].trained == 2 * 8 * 536
    assert both[0].referred == 2 * 8 * 536
    assert both[2].written - one[2].written == 4 * 24


def test_online_draws_what_a_pass_would() -> None:
    """Prompts are read once more, and answers are drawn; it is no job of its own."""
    online = {"label": "Online", "mix": "online", "parent": "sft", "stage": "second"}
    before, after = cost.works(graph()), cost.works(graph(methods={"online": online}))
    assert after[0].trained - before[0].trained == 8 * 536
    assert after[0].referred == 8 * 512
    assert after[1] == replace(before[1], written=before[1].written + 8 * 24)
    alone = graph(methods={"online": online, "bash": online | {"label": "Other"}})
    works = cost.works(alone)
    assert works[1] == Work(DRAWING, "descriptions", "tiny", 0, written=2 * 8 * 24)
    page = plan.page(
        works,
        works,
        {"tiny": 10},
        [],
        cost.disk(alone, {"tiny": 10}, []),
        "h100",
        RATES,
    )
    assert "- What a method draws while it trains is counted with forced passes" in page


def test_dialogues_by_hand() -> None:
    """SFT on 100 dialogues for 2 epochs and its loss on 10, of 1,375 tokens each; the other
    two methods train on 8 rows of 536, as before."""
    talk = {"train": "ultrachat-train", "test": "ultrachat-test"}
    talk |= {"train_rows": 100, "test_rows": 10}
    sft = {"learning_rate": 1e-3, "loss": "all", "dialogues": "talk", "epochs": 2}
    found = graph(stages={"sft": sft}, dialogues={"talk": talk})
    trained, *_, read = cost.works(found)
    assert trained.trained == 200 * 1375 + 2 * 8 * 536
    assert read == Work(READING, "descriptions", "tiny", 1, read=10 * 1375)
    assert plan.flops(read, 10) == 2 * 10 * 13750
    disk = cost.disk(found, {"tiny": 10}, [])
    page = plan.page([read], [read], {"tiny": 10}, [], disk, "h100", RATES)
    assert (
        "- Whole dialogues are counted at UltraChat's mean, about 1375 tokens." in page
    )


def test_hours_by_hand() -> None:
    """A model of a million parameters on 989 TFLOP/s. Forward and backward: 6e6 a token."""
    work = Work(WRITING, "t", "m", 1, trained=0, read=500_000, written=1_000_000)
    assert plan.flops(work, 10**6) == 2e6 * 1.5e6
    seconds = 1e12 / (989e12 * 0.5) + 2e12 / (989e12 * 0.01)
    assert plan.hours(work, 10**6, "h100", RATES) == pytest.approx(seconds / 3600)
    work = Work(TRAINING, "t", "m", 1, trained=10**6, referred=10**6)
    assert plan.flops(work, 10**6) == 8e12
    seconds = 8e12 / (312e12 * 0.5)
    assert plan.hours(work, 10**6, "a100", RATES) == pytest.approx(seconds / 3600)


def test_judges_by_hand() -> None:
    """Four methods and four prompts in both orders: 32 requests of 512 + 2 x 24 + 256
    tokens, each answered with 256 at most; 2 and 4 dollars a million."""
    judge = {"kind": "endpoint", "model": "j", "budget": 1}
    judge |= {"input_price": 2.0, "output_price": 4.0}
    comparison = {"judge": "gpt", "orders": "both"}
    [found] = cost.asked(
        graph(judges={"gpt": judge}, evaluation={"win_rates": {"c": comparison}})
    )
    assert (found.requests, found.prompt_tokens) == (32, 32 * 816)
    assert found.dollars == pytest.approx((32 * 816 * 2 + 32 * 256 * 4) / 1e6)
    assert not [*cost.asked(graph(judges={"gpt": {"kind": "likelihood"}}))]


def test_sizes() -> None:
    sizes = cost.parameters(graph())
    tied = 2 * 259 * 32  # embedding and head
    layer = 2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 64 + 2 * 32
    assert sizes == {"tiny": tied + 2 * layer + 32}
    hub = {"kind": "hub", "repo": "a/b", "revision": "a" * 40}
    known = graph(models={"big": {**hub, "shape": "pythia-1b"}})
    assert cost.parameters(known)["big"] == 1_011_781_632
    with pytest.raises(UserError, match=r"models\.big: its size is not known"):
        cost.parameters(graph(models={"big": hub}))


def test_disk_by_hand() -> None:
    """Three methods train, and a fourth of two rounds, one of which is kept and one on the
    way; the two bases are one of a hub, which is linked, and one of random weights."""
    rounds = {"label": "R", "mix": "plain", "parent": "sft", "stage": "second"}
    hub = {"kind": "hub", "repo": "a/b", "revision": "a" * 40, "shape": "pythia-1b"}
    found = graph(
        methods={"rounds": rounds | {"rounds": 2}},
        models={"big": hub},
        tasks={"descriptions": SMALL_TASK | {"models": ["tiny"]}},
    )
    sizes = cost.parameters(found)
    works = cost.works(found)
    tiny, big = sizes["tiny"], sizes["big"]
    disk = cost.disk(found, sizes, works)
    assert disk.fetched == 2 * big
    assert disk.made == disk.rounds == 4 * tiny
    assert disk.kept == 4 * 4 * tiny
    assert disk.rows == 4 * 4 * 8 * 536
    assert disk.state == 24 * tiny
    assert disk.peak == 2 * big + (4 + 16 + 4 + 24) * tiny + disk.rows
    # SFT, from which the others start, and one on the way.
    gone = Graph(found.config.model_copy(update={"keep_weights": False}))
    disk = cost.disk(gone, sizes, works)
    assert (disk.kept, disk.rounds) == (4 * tiny, 2 * 4 * tiny)


def test_state_of_a_training(tmp_path: Path) -> None:
    """The two newest checkpoints are kept."""
    shape = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2}
    shape |= {"num_attention_heads": 4}
    model, _ = create(ModelSpec("random", None, CHATML, "llama", shape))
    parameters = model.num_parameters()
    how = {"scratch": tmp_path, "checkpoint_minutes": 0, "after_step": lambda n: n == 2}
    train(model, rows(), SPEC, **how)
    assert len(list(tmp_path.iterdir())) == 2
    held = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert held == pytest.approx(plan.STATE_BYTES * parameters, rel=0.2)


def test_jobs_are_those_of_a_dry_run(bare: Flow) -> None:
    rules = bare.rules("--configfile", "config/paper.yaml")
    raw = yaml.safe_load((REPO / "config" / "paper.yaml").read_text())
    jobs = sum(work.jobs for work in cost.works(Graph(load(raw), REPO)))
    names = ("finetune", "generate_pass", "generate_answers", "answer_benchmark")
    others = ("ask_few_shot", "measure_loss")
    assert jobs == sum(rules[name] for name in (*names, *others))


@pytest.mark.parametrize("name", ["paper", "gsm8k"])
def test_a_shipped_page_is_in_step(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", str(REPO / "config" / f"{name}.yaml")]) == 0
    shown, page = capsys.readouterr().out, PAGES / f"{name}.md"
    assert shown == page.read_text(encoding="utf-8"), f"selfgen plan > {page.name}"
    assert "GPU: h100" in shown and "| **all** |" in shown


def test_no_shipped_budget_is_below_the_expected_cost() -> None:
    asked = []
    for path in sorted((REPO / "config").glob("**/*.yaml")):
        raw = yaml.safe_load(path.read_text())
        if "tasks" in raw and "judges" in raw:
            asked += cost.asked(Graph(load(raw), REPO))
    assert {a.judge for a in asked} >= {"gpt-4", "gpt-4-1106-preview"}
    for a in asked:
        assert 0 < a.expected <= a.budget, a
        assert a.expected <= a.dollars


def test_expected_work_by_hand() -> None:
    """GSM8K's questions of 60 tokens in a template of 58 characters, and its answers of 92:
    eight rows, one method; what is allowed holds where it is less."""
    task = {"dataset": "gsm8k", "max_prompt_tokens": 512, "leakage_limit": 1.0}
    around = len(DATASETS["gsm8k"].template) // 4
    for allowed, answer in ((512, 92), (64, 64)):
        math = SMALL_TASK | task | {"max_new_tokens": allowed}
        found = graph(tasks={"descriptions": math})
        trained, drawn, _ = cost.works(found, cost.expected)
        assert drawn.written == 8 * answer
        assert trained.trained == 3 * 8 * (60 + around + answer)
        assert cost.works(found)[1].written == 8 * allowed


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no {DATA}: the real files are not here")
def test_lengths_are_those_of_the_real_files() -> None:
    """Words, digits and signs are about tokens. AlpacaEval's package stored what each
    judgment cost, at 10 dollars a million tokens."""

    def tokens(texts: Iterable[str]) -> float:
        parts = (re.findall(r"\d|[^\W\d]+|[^\w\s]", text) for text in texts)
        return statistics.mean(map(len, parts))

    lines = (DATA / "gsm8k" / "train.jsonl").read_text().splitlines()
    rows = list(map(json.loads, lines))
    worked = (re.sub(r"<<.*?>>", "", row["answer"]) for row in rows)
    found = (tokens(row["question"] for row in rows), tokens(worked))
    assert found == pytest.approx(DATASETS["gsm8k"].lengths, rel=0.25)
    folder = DATA / "alpaca_eval"
    rows = json.loads((folder / "vicuna-7b.outputs.json").read_text())
    found = [tokens(row[key] for row in rows) for key in ("instruction", "output")]
    assert found == pytest.approx(JUDGED["alpaca-eval"].lengths, rel=0.25)
    judged = json.loads((folder / "vicuna-7b.annotations.json").read_text())
    dollars = sum(row["price_per_example"] or 0 for row in judged)
    paid = 1e6 * dollars / 10 / len(judged)
    assert JUDGED["alpaca-eval"].judged[0] == pytest.approx(paid, rel=0.02)
    lines = (DATA / "mt_bench" / "question.jsonl").read_text().splitlines()
    turns = [turn for line in lines for turn in json.loads(line)["turns"]]
    assert JUDGED["mt-bench"].lengths[0] == pytest.approx(tokens(turns), rel=0.25)


def test_what_cannot_be_planned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*argv: str) -> str:
        assert main(["plan", *argv]) == 1
        return capsys.readouterr().err.strip().splitlines()[-1]

    assert "found 'tpu', allowed: a100, h100" in said(str(SMALL), "--gpu", "tpu")
    assert "none.yaml: found no such file" in said(str(tmp_path / "none.yaml"))
    synthetic = str(REPO / "config" / "synthetic.yaml")
    assert "not a configuration of the graph" in said(synthetic)
    assert "needed are train.json" in said(str(SMALL), "--bench", str(tmp_path))
    (tmp_path / "train.json").write_text(json.dumps({"timings": []}))
    (tmp_path / "forced.json").write_text("{}")
    assert "needed are train.json" in said(str(SMALL), "--bench", str(tmp_path))

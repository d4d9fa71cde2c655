"""Whole dialogues: read, rendered, refused; and the loss on held-out ones."""

from __future__ import annotations

import copy
import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from tests.flow import REPO
from tests.unit.test_prompts import folder, tokenizer  # noqa: F401 (fixtures)

from selfgen.config import load, synthetic
from selfgen.core.errors import UserError
from selfgen.core.spec import Device
from selfgen.data.chat_templates import ZEPHYR
from selfgen.data.dialogues import read
from selfgen.data.turns import dialogue_ids
from selfgen.evaluation import held_out
from selfgen.evaluation.held_out_spec import LossSpec
from selfgen.graph import dialogues as wiring
from selfgen.graph.steps import Graph
from selfgen.graph.tables import tables
from selfgen.mixing.blocks import BlocksSpec
from selfgen.models import loading
from selfgen.report.spec import Cell, TableSpec
from selfgen.report.tables.held_out_loss import draw

ROLES = ("user", "assistant")


def dialogue(i: int) -> dict[str, Any]:
    """Of one to three questions and answers."""
    turns = 2 * (1 + i % 3)
    said = [{"role": ROLES[t % 2], "content": f"{i}, {t}"} for t in range(turns)]
    return {"prompt_id": str(i), "messages": said}


def write(path: Path, n: int = 12) -> Path:
    path.write_text("".join(json.dumps(dialogue(i)) + "\n" for i in range(n)))
    return path


# Reading and rendering.


def test_lines_and_parquet_are_read_alike(tmp_path: Path, tokenizer: Any) -> None:  # noqa: F811
    lines = write(tmp_path / "d.jsonl")
    pd.DataFrame([dialogue(i) for i in range(12)]).to_parquet(tmp_path / "d.parquet")
    found = read(lines, 12, tokenizer)
    assert list(found.items()) == list(
        read(tmp_path / "d.parquet", 12, tokenizer).items()
    )
    assert sorted(found, key=int) == [str(i) for i in range(12)] != list(found)
    assert list(read(lines, 5, tokenizer)) == list(found)[:5]
    text = tokenizer.decode(list(found["1"]))
    assert re.findall(r"\d, \d", text) == ["1, 0", "1, 1", "1, 2", "1, 3"]


def test_a_dialogue_that_the_template_refuses_is_named(
    tokenizer: Any,  # noqa: F811
    tmp_path: Path,
) -> None:
    other = copy.deepcopy(tokenizer)
    other.chat_template = "{{ raise_exception('no') }}"
    with pytest.raises(
        UserError, match=r"d.jsonl.*: chat template: it refuses turns of"
    ):
        read(write(tmp_path / "d.jsonl"), 12, other)


def test_the_turns_of_zephyr(tokenizer: Any) -> None:  # noqa: F811
    """As the template of alignment-handbook v0.3.0 has them (config_full.yaml of its SFT)
    after the empty system message that it puts first, and the BOS of its tokenizer."""
    other = copy.deepcopy(tokenizer)
    other.chat_template = ZEPHYR
    other.add_special_tokens({"bos_token": "<s>"})
    eos = other.eos_token
    said = [{"role": ROLES[i % 2], "content": text} for i, text in enumerate("abcd")]
    turns = f"<|user|>\na{eos}\n<|assistant|>\nb{eos}\n"
    turns += f"<|user|>\nc{eos}\n<|assistant|>\nd{eos}\n"
    whole = other.decode(dialogue_ids(other, said, opened=False))
    assert whole == f"<s><|system|>\n{eos}\n{turns}"
    system = {"role": "system", "content": "Be brief."}
    whole = other.decode(dialogue_ids(other, [system, *said], opened=False))
    assert whole == f"<s><|system|>\nBe brief.{eos}\n{turns}"


@pytest.mark.parametrize(
    ("row", "rows", "said"),
    [
        ({"prompt": "p"}, 1, "line 1: needed are messages, each with a role"),
        ({"messages": []}, 1, "line 1: needed are messages"),
        ({"messages": [{"role": "user"}]}, 1, "line 1: needed are messages"),
        (
            {"messages": [{"role": "human", "content": "x"}]},
            1,
            r"with a role \(system, user, assistant\)",
        ),
        (dialogue(0), 2, "found 1 dialogues, asked 2"),
    ],
)
def test_what_is_no_dialogue(
    tmp_path: Path,
    tokenizer: Any,  # noqa: F811
    row: dict[str, Any],
    rows: int,
    said: str,
) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text(json.dumps(row) + "\n")
    with pytest.raises(UserError, match=said):
        read(path, rows, tokenizer)


# The loss.


def test_the_loss_is_that_of_transformers(tmp_path: Path, folder: Path) -> None:  # noqa: F811
    """Blocks alone through the model, with its own loss; their mean is eval_loss."""
    path = write(tmp_path / "d.jsonl", 70)
    spec = LossSpec(70, 16, Device("cpu", "fp32"))
    seen: list[tuple[int, int]] = []
    rows, facts = held_out.run(path, folder, spec, lambda *x: seen.append(x))
    assert facts == {"device": "cpu", "precision": "fp32"}
    model, tokenizer = loading.load(folder).eval(), held_out.load_tokenizer(folder)  # noqa: F811
    found = read(path, 70, tokenizer)
    ids = [i for own in found.values() for i in (*own, tokenizer.eos_token_id)]
    blocks = torch.tensor(ids[: len(ids) // 16 * 16]).view(-1, 16)
    with torch.no_grad():
        expected = [
            float(model(input_ids=block[None], labels=block[None]).loss)
            for block in blocks
        ]
    assert [row["loss"] for row in rows] == pytest.approx(expected, rel=1e-5)
    assert {row["tokens"] for row in rows} == {15}
    assert len(rows) > held_out.AT_ONCE, "in more than one part"
    assert seen[-1] == (len(rows), len(rows))


def test_table() -> None:
    """Two seeds of two blocks: 1, 3 and 2, 4; the mean is 2.5."""
    cells = tuple(Cell("qa", "m", "sft", "direct", seed) for seed in (0, 1))
    name = "held-out-loss"
    spec = TableSpec(name, name, "x", (), {"sft": "SFT"}, "sft", (), 0.95, cells, None)

    def rows(*losses: float) -> list[dict[str, Any]]:
        return [
            {"id": f"block-{i}", "loss": loss, "tokens": 2047}
            for i, loss in enumerate(losses)
        ]

    pages = draw([rows(1.0, 3.0), rows(2.0, 4.0)], spec).texts()
    [line] = csv.DictReader(io.StringIO(pages["csv"]))
    assert (line["task"], line["model"], line["method"]) == ("qa", "m", "sft")
    assert (line["loss"], line["blocks"], line["tokens"]) == ("2.500000", "2", "4094")
    assert float(line["low"]) < 2.5 < float(line["high"])
    assert "| qa | m | SFT | 2.5000<br>[" in pages["md"]


# The configuration.


def raw() -> dict[str, Any]:
    found = yaml.safe_load((REPO / "tests" / "workflow" / "small.yaml").read_text())
    found["files"] = {"mine": {"path": "d.jsonl"}}
    found["dialogues"] = {
        "talk": {"train": "mine", "test": "mine", "train_rows": 8, "test_rows": 4}
    }
    found["stages"]["sft"] |= {"dialogues": "talk", "loss": "all", "epochs": 2}
    return found


def test_specs() -> None:
    graph = Graph(load(raw()))
    task = "descriptions"
    assert wiring.rows(graph, task, "sft", 7) == BlocksSpec(8, 2048, 7, 2, 4)
    for node in ("sft-continued", "bash"):
        assert wiring.rows(graph, task, node, 7) == graph.rows(task, node, 7)
    assert [cell.method for cell in wiring.cells(graph)] == ["sft"]
    assert wiring.loss(graph, task, "sft").rows == 4
    found = tables(graph)["held-out-loss"]
    assert found.spec.cells == tuple(wiring.cells(graph))
    assert found.inputs == {"losses": [wiring.path(cell) for cell in found.spec.cells]}


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (
            "stages/sft/dialogues",
            "tolk",
            "stages.sft.dialogues: found 'tolk', allowed: talk; nearest: talk",
        ),
        (
            "stages/sft/loss",
            "answers",
            "stages.sft.loss: found 'answers', allowed with dialogues: all",
        ),
        (
            "stages/sft/rows",
            3,
            "stages.sft.rows: found 3, allowed with dialogues: none, their number is"
            " dialogues.talk.train_rows",
        ),
        (
            "methods/bash/stage",
            "sft",
            "stages.sft.dialogues: found 'talk' with methods.bash of mix 'bash'; allowed"
            " with plain",
        ),
        (
            "methods/sft/rounds",
            2,
            "stages.sft.dialogues: found 'talk' with methods.sft.rounds 2; allowed with 1",
        ),
        (
            "stages/sft/fresh_rows",
            False,
            "stages.sft.fresh_rows: found false, allowed with dialogues: true",
        ),
        (
            "dialogues/talk/test",
            "other",
            "dialogues.talk.test: found 'other', allowed: ",
        ),
        (
            "dialogues/talk/block_tokens",
            1,
            "dialogues.talk.block_tokens: found 1, allowed: greater than or equal to 2",
        ),
    ],
)
def test_refused(path: str, value: Any, said: str) -> None:
    changed = raw()
    node = changed
    *parents, last = path.split("/")
    for part in parents:
        node = node[part]
    node[last] = value
    assert refusal(changed).startswith(f"config: {said}")


def refusal(changed: dict[str, Any]) -> str:
    with pytest.raises(UserError) as caught:
        Graph(load(changed))
    [line] = str(caught.value).splitlines()
    return line


def test_validation_records_are_not_trained_on() -> None:
    """Those of UltraChat are of its training file, all of which would be packed."""
    changed = raw()
    changed["tasks"]["descriptions"]["dataset"] = "ultrachat"
    Graph(load(changed))
    changed["dialogues"]["talk"]["train"] = "ultrachat-train"
    assert refusal(changed) == (
        "config: tasks.descriptions.validation_rows: found 4, allowed where stages.sft"
        " trains on dialogues of ultrachat-train: 0"
    )
    changed["tasks"]["descriptions"]["validation_rows"] = 0
    Graph(load(changed))


def test_a_task_may_leave_out_the_methods_that_cannot() -> None:
    changed = raw()
    changed["methods"]["bash"]["stage"] = "sft"
    changed["tasks"]["descriptions"]["methods"] = ["base", "sft", "sft-continued"]
    Graph(load(changed))


def test_synthetic_experiments_have_none() -> None:
    found = yaml.safe_load((REPO / "tests/workflow/synthetic.yaml").read_text())
    [experiment, *_] = found["experiments"].values()
    next(iter(experiment["stages"].values()))["dialogues"] = "talk"
    with pytest.raises(
        UserError, match=r"dialogues: found 'talk', which synthetic experiments"
    ):
        synthetic.load(found)

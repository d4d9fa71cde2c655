"""Mistakes in a configuration: one readable line each; and the values that are taken."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from selfgen.config import load
from selfgen.core.errors import UserError
from selfgen.data.listing import folder_of
from selfgen.graph import sources, tables
from selfgen.graph.sources import Sources
from selfgen.graph.steps import Graph
from selfgen.graph.workflow import open_workflow
from selfgen.models.base import create
from selfgen.models.loading import save
from tests.flow import CONFIGS, REPO, Flow

SMALL = yaml.safe_load((Path(__file__).parent / "small.yaml").read_text())
RAC = {"label": "RAC", "mix": "rac", "parent": "sft", "stage": "second"}
LORA = {"rank": 8, "alpha": 16}
DELETE = object()


def changed(path: str, value: Any) -> dict[str, Any]:
    """The small configuration with one key set or deleted; ``path`` is divided by '/'."""
    raw = copy.deepcopy(SMALL)
    raw["methods"]["rac"] = dict(RAC)
    raw["stages"]["lora"] = {"learning_rate": 1e-3, "lora": dict(LORA)}
    node: Any = raw
    *parents, last = path.split("/")
    for part in parents:
        node = node[int(part)] if isinstance(node, list) else node.setdefault(part, {})
    if value is DELETE:
        del node[last]
    else:
        node[last] = value
    return raw


def problems(raw: dict[str, Any]) -> list[str]:
    """The lines that a wrong configuration is answered with."""
    with pytest.raises(UserError) as caught:
        Graph(load(raw))
    return str(caught.value).splitlines()


def problem(path: str, value: Any) -> str:
    """The one line that one mistake is answered with."""
    lines = problems(changed(path, value))
    assert len(lines) == 1, lines
    assert lines[0].startswith("config: ")
    return lines[0]


@pytest.mark.parametrize("name", CONFIGS)
def test_shipped_configurations_load(name: str) -> None:
    raw = yaml.safe_load((REPO / "config" / f"{name}.yaml").read_text())
    assert Graph(load(raw)).cells()


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("sede", "seeds"),
        ("models/tiny/model_typ", "model_type"),
        ("tasks/descriptions/train_row", "train_rows"),
        ("stages/sft/learning_rat", "learning_rate"),
        ("stages/lora/lora/ranks", "rank"),
        ("methods/base/labels", "label"),
        ("methods/sft/parents", "parent"),
        ("methods/bash/betta", "beta"),
        ("methods/rac/correction_shares", "correction_share"),
        ("decoding/temprature", "temperature"),
        ("evaluation/baselin", "baseline"),
        ("leakage/ngrams", "ngram"),
    ],
)
def test_unknown_key_names_the_nearest_one(path: str, nearest: str) -> None:
    line = problem(path, 1)
    assert f"config: {path.replace('/', '.')}: unknown key, allowed: " in line
    allowed, _, hint = line.partition("; nearest: ")
    assert hint == nearest
    assert f"{nearest}," in f"{allowed},"


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("seeds", 0, ["found 0", "list"]),
        ("seeds", ["a"], ["seeds.0", "found 'a'", "integer"]),
        ("seeds", [0, 0], ["seeds: found [0, 0]", "distinct"]),
        ("seeds", [], ["found []", "at least 1"]),
        ("device", "gpu", ["found 'gpu'", "auto, cpu, cuda, mps"]),
        ("stages/sft/epochs", "3", ["found '3'", "integer"]),
        ("stages/sft/epochs", 0, ["found 0", "greater than or equal to 1"]),
        ("tasks", {}, ["tasks: found {}", "at least 1"]),
        ("tasks", [1], ["tasks: found [1]", "dictionary"]),
        ("tasks/descriptions/test_rows", 0, ["found 0", "greater than or equal to 1"]),
        ("tasks/descriptions/test_rows", True, ["found True", "integer"]),
        ("tasks/descriptions/max_words", "many", ["found 'many'", "integer"]),
        ("tasks/descriptions/template", "Go.", ["template", "{prompt}"]),
        ("tasks/descriptions/dataset", "wikipedia", ["nearest: wikipedia-descript"]),
        ("tasks/descriptions/train_rows", DELETE, ["found nothing", "required"]),
        ("models/tiny/kind", "ggfu", ["found 'ggfu'", "gguf, random", "nearest: gguf"]),
        ("models/tiny/kind", DELETE, ["models.tiny.kind", "gguf, random"]),
        ("stages/sft/learning_rate", "fast", ["found 'fast'", "number"]),
        ("stages/sft/learning_rate", 0, ["found 0", "greater than 0"]),
        ("stages/sft/adam_betas", [0.9], ["found [0.9]", "at least 2"]),
        ("stages/sft/scheduler", "cosin", ["found 'cosin'", "nearest: cosine"]),
        ("stages/lora/lora/rank", 0, ["found 0", "greater than or equal to 1"]),
        ("methods/bash/beta", 1.5, ["found 1.5", "less than or equal to 1"]),
        ("methods/bash/beta", -0.1, ["found -0.1", "greater than or equal to 0"]),
        ("methods/bash/mix", "bahs", ["found 'bahs'", "plain", "nearest: bash"]),
        (
            "methods/bash/mix",
            DELETE,
            ["bash.mix: found nothing", ": bash, custom, dpo, none"],
        ),
        ("methods/bash/parent", "stf", ["found 'stf'", "nearest: sft"]),
        ("methods/bash/stage", "secnd", ["found 'secnd'", "nearest: second"]),
        ("methods/rac/decodings", ["both"], ["found 'both'", "direct, corrected"]),
        ("evaluation/baseline", "sft-cont", ["nearest: sft-continued"]),
        # YAML reads these bare words as something else than text
        ("methods/base/label", False, ["found False", "string"]),
        ("methods/base/label", 1.5, ["found 1.5", "string"]),
    ],
)
def test_wrong_value(path: str, value: Any, words: list[str]) -> None:
    line = problem(path, value)
    assert path.split("/")[0] in line
    assert path.split("/")[-1] in line
    for word in words:
        assert word in line


@pytest.mark.parametrize("group", ["tasks", "models", "stages", "methods"])
@pytest.mark.parametrize("name", ["a/b", "SFT", "", "-x", "a b", "../x", "é"])
def test_names_are_parts_of_paths(group: str, name: str) -> None:
    some = next(iter(SMALL[group].values()))
    line = problem(f"{group}", {**SMALL[group], name: some})
    assert f"config: {group}.{name}: found {name!r}, allowed" in line


@pytest.mark.parametrize("name", [1, False, None])
def test_a_name_that_yaml_did_not_read_as_text(name: Any) -> None:
    """``no:`` and ``1:`` are not text in YAML; the line still names the place."""
    raw = changed("scale", "small")
    raw["methods"][name] = {"label": "x", "mix": "none"}
    (line,) = problems(raw)
    assert line.startswith("config: methods")
    assert "string" in line


def test_every_problem_has_its_line() -> None:
    raw = changed("methods/bash/beta", 2)
    raw["tasks"]["descriptions"]["test_rows"] = 0
    raw["sead"] = 1
    assert len(problems(raw)) == 3


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ({"joins": ["sft"]}, "stages.whole.joins"),
        ({"joins": ["sft", "gone"]}, "stages.whole.joins: found 'gone'"),
        ({"joins": ["sft", "whole"]}, "found 'whole', allowed: stages that join none"),
        (
            {"joins": ["sft", "second"], "epochs": 2},
            "stages.whole.epochs: found 2, allo",
        ),
        ({"joins": ["sft", "second"], "loss": "all"}, "found 'sft', allowed: stages"),
        (
            {"joins": ["sft", "second"]},
            "joins: found ['sft', 'second'] with methods.bash of mix 'bash'",
        ),
    ],
)
def test_what_a_stage_cannot_join(stage: dict[str, Any], said: str) -> None:
    raw = changed("methods/bash/stage", "whole")
    raw["stages"]["whole"] = {"learning_rate": 1e-4, **stage}
    assert said in "\n".join(problems(raw))


def test_cycle_of_parents() -> None:
    raw = changed("methods/sft/parent", "bash")
    assert problems(raw) == [
        "config: methods.sft.parent: found the cycle sft -> bash -> sft,"
        " allowed is a chain that ends in a base model"
    ]


SECOND = {"parent": "sft", "stage": "second"}
LINEAR = {"kind": "linear", "k": 1.0, "c": 0.01}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (
            {"mix": "random", "control_for": "sft"},
            ["x.control_for", "'sft'", "allowed: bash"],
        ),
        (
            {"mix": "random", "control_for": "bash", "stage": "sft"},
            ["x.control_for", "stage"],
        ),
        ({"mix": "plain", "match_wall_time": "base"}, ["x.match_wall_time", "bash"]),
        (
            {"mix": "plain", "match_wall_time": "bash", "rounds": 2},
            ["x.rounds", "match_wall_time"],
        ),
        ({"mix": "bash", "span": 0}, ["x.span", "greater than or equal to 1"]),
        (
            {"mix": "bash", "loss_on": "behind-changed", "rounds": 2},
            ["rounds", "behind-changed"],
        ),
        (
            {"mix": "bash", "loss_on": "kept", "labels": "aligned"},
            ["labels", "'reference'"],
        ),
        (
            {"mix": "bash", "schedule": {"kind": "cosine", "k": 1}},
            ["'cosine'", "linear"],
        ),
        ({"mix": "bash", "schedule": {"kind": "exponential", "k": 2}}, ["schedule.k"]),
        ({"mix": "bash", "schedule": {"kind": "inverse-sigmoid", "k": 0.5}}, [".k"]),
        ({"mix": "bash", "schedule": {**LINEAR, "step": 1}}, ["schedule.step", "kind"]),
        ({"mix": "bash", "schedule": {**LINEAR, "over": "rounds"}}, ["rounds > 1"]),
        (
            {"mix": "dpo", "candidates": 1},
            ["x.candidates", "greater than or equal to 2"],
        ),
        ({"mix": "rac", "drafts": "another", "rounds": 2}, ["x.rounds", "another"]),
        ({"mix": "custom", "function": "mine.py"}, ["x.function", "pattern"]),
        (
            {"mix": "custom", "function": "a.py:f", "loss_function": "mine.py"},
            ["x.loss_function", "pattern"],
        ),
    ],
)
def test_methods_that_do_not_fit(keys: dict[str, Any], words: list[str]) -> None:
    """One line for each mistake between the keys of a method, or between methods."""
    line = problem("methods/x", {"label": "X", **SECOND, **keys})
    for word in words:
        assert word in line


def test_unknown_source() -> None:
    model = {"kind": "gguf", "source": "smollm", "member": "x.gguf"}
    assert "models.tiny.source: found 'smollm'" in problem("models/tiny", model)


@pytest.mark.parametrize("raw", [{}, {"scale": "x"}, {"scale": None}])
def test_nearly_empty(raw: dict[str, Any]) -> None:
    assert all(line.startswith("config: ") for line in problems(raw))


@pytest.mark.parametrize("text", ["1e-4", "1E-4", "1.e-4", "1.0e-4", "0.0001"])
def test_numbers_as_people_write_them(text: str) -> None:
    """YAML 1.1 reads ``1e-4`` as text."""
    raw = changed("stages/sft/learning_rate", yaml.safe_load(text))
    assert math.isclose(load(raw).stages["sft"].learning_rate, 1e-4)


Change = Callable[[dict[str, Any]], None]

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 3),
    st.floats(allow_nan=True),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from(["mix", "kind", "label", "a"]), st.text()),
    st.sampled_from(["bash", "rac", "none", "sft", "base", "gguf", "random", "1e-4"]),
)


@functools.cache
def _shipped(name: str) -> Any:
    return yaml.safe_load((REPO / "config" / f"{name}.yaml").read_text())


@st.composite
def mutations(draw: st.DrawFn) -> dict[str, Any]:
    """A shipped configuration in which one to three places were changed at random."""
    name = draw(st.sampled_from(CONFIGS))
    raw = copy.deepcopy(_shipped(name))
    for _ in range(draw(st.integers(1, 3))):
        node: Any = raw
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            inner = node[key]
            if isinstance(inner, dict | list) and inner and draw(st.integers(0, 4)):
                node = inner
                continue
            action = draw(st.sampled_from(["set", "delete", "rename"]))
            if action == "set" or isinstance(node, list):
                node[key] = draw(VALUES)
            else:
                value = node.pop(key)
                if action == "rename":
                    node[draw(st.text(max_size=5) | st.just(f"{key}x"))] = value
            break
    return raw


@settings(max_examples=300, deadline=None)
@given(mutations())
def test_nothing_but_readable_lines(raw: dict[str, Any]) -> None:
    """A configuration is taken or refused in lines, as ``open_workflow`` reads it with the
    file of known numbers; anything else fails this test."""
    try:
        graph = Graph(load(raw))
        assert tables.collect(graph) and tables.tables(graph)
    except UserError as error:
        for line in str(error).splitlines():
            assert line.startswith("config: ")


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        (
            lambda c: c["methods"]["bash"].update(betta=0.5),
            "config: methods.bash.betta: unknown key",
        ),
        (
            lambda c: c["methods"]["bash"].update(parent="nobody"),
            "config: methods.bash.parent: found 'nobody', allowed: base, ",
        ),
    ],
)
def test_file_on_the_command_line(
    bare: Flow, tmp_path: Path, edit: Change, line: str
) -> None:
    raw = copy.deepcopy(SMALL)
    edit(raw)
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(raw))
    refused(bare, line, "--configfile", str(file))


def test_value_on_the_command_line(bare: Flow) -> None:
    refused(bare, "config: device: found 'gpu', allowed: ", "--config", "device=gpu")


def refused(bare: Flow, line: str, *arguments: str) -> None:
    done = bare.snakemake("-n", *arguments)
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    lines = [x for x in done.stdout.splitlines() if "config: " in x]
    assert len(lines) == 1
    assert lines[0].startswith(line)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("models", ["big"], "found 'big', allowed: tiny"),
        ("methods", ["base", "sft", "dpo"], "found 'dpo', allowed: base, sft"),
        (
            "methods",
            ["base", "sft-continued"],
            "found 'sft-continued' without its parent, 'sft'",
        ),
        (
            "methods",
            ["base", "sft"],
            "found none that is evaluation.baseline, 'sft-con",
        ),
        ("seeds", [1, 1], "found [1, 1], allowed are distinct ones"),
        ("stages", {"third": "sft"}, "found 'third', allowed: sft, second"),
        ("stages", {"sft": "third"}, ".sft: found 'third', allowed: sft, second"),
    ],
)
def test_a_matrix_that_does_not_fit(key: str, value: Any, said: str) -> None:
    task = next(iter(SMALL["tasks"]))
    line = problem(f"tasks/{task}/{key}", value)
    assert line.startswith(f"config: tasks.{task}.{key}")
    assert said in line


HUB = {"kind": "hub", "repo": "org/name", "revision": "a" * 40}


def test_a_branch_is_taken_only_where_it_is_allowed_by_name() -> None:
    named = {**HUB, "revision": "main"}
    line = problem("models/other", named)
    assert line == (
        "config: models.other.revision: found 'main', allowed: a commit of 40 digits, or"
        " any where org/name stands in unpinned"
    )
    file = {"repo": "org/set", "revision": "v1", "path": "*.parquet"}
    assert "files.mine.revision: found 'v1'" in problem("files/mine", file)
    raw = changed("models/other", named) | {"unpinned": ["org/name", "org/set"]}
    raw["files"] = {"mine": file}
    names = set(Sources(load(raw), "resources").hubs())
    assert "org--name@main" in names
    assert any(name.startswith("org--set@v1-") for name in names)
    Graph(load(changed("models/other", HUB)))


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ({"url": "http://x/y"}, "found url, allowed: url and sha256, or repo,"),
        ({"repo": "a/b", "path": "x"}, "found path, repo, allowed: url and sha256"),
        ({"path": "x", "sha256": "0" * 64}, "found path, sha256, allowed"),
        ({}, "found nothing, allowed: url and sha256"),
    ],
)
def test_a_file_is_at_one_place(file: dict[str, str], said: str) -> None:
    assert said in problem("files/mine", file)


def test_a_template_of_one_turn_is_refused_before_any_job(tmp_path: Path) -> None:
    """Where the model is here already, and a method or a benchmark asks for a second turn."""
    model, tokenizer = create(sources.model(load(SMALL).models["tiny"]))
    tokenizer.chat_template = "{{ messages[-1].content }}<|im_start|>"
    save(model, tokenizer, tmp_path)
    raw = changed("models/tiny", {"kind": "local", "path": str(tmp_path)})
    del raw["methods"]["rac"]
    assert not Graph(load(raw)).model("tiny").corrections
    open_workflow(raw, [], REPO)
    corrected = copy.deepcopy(raw)
    corrected["methods"]["sft"]["decodings"] = ["direct", "corrected"]
    two_turns = copy.deepcopy(raw)
    prices = {"input_price": 1.0, "output_price": 1.0, "budget": 1.0}
    two_turns["judges"] = {"judge": {"kind": "endpoint", "model": "m", **prices}}
    section = {"tasks": ["descriptions"], "judge": "judge"}
    two_turns["evaluation"] = {"mt_bench": section}
    for asked in (
        raw | {"methods": raw["methods"] | {"rac": RAC}},
        corrected,
        two_turns,
    ):
        with pytest.raises(
            UserError, match=r"models.tiny: .*earlier turns.*chat: chatml"
        ):
            open_workflow(asked, [], REPO)
        asked["models"]["tiny"]["chat"] = "chatml"
        open_workflow(asked, [], REPO)
        del asked["models"]["tiny"]["chat"]
    tokenizer.chat_template = None
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "chat_template.jinja").unlink()
    with pytest.raises(
        UserError, match=r"models.tiny: .*no chat template; .*chat: chatml"
    ):
        open_workflow(raw, [], REPO)


def test_a_model_that_was_fetched_before_is_checked_before_any_job(
    tmp_path: Path,
) -> None:
    raw = changed("models/tiny", {"kind": "hub", "repo": "a/b", "revision": "0" * 40})
    graph = Graph(load(raw), resources=str(tmp_path))
    graph.check_models()  # nothing is here yet
    fetched = sources.hub_model(graph.config.models["tiny"])
    listing = Path(graph.sources.location(fetched))
    model, tokenizer = create(sources.model(load(SMALL).models["tiny"]))
    tokenizer.chat_template = "{{ messages[-1].content }}<|im_start|>"
    save(model, tokenizer, folder_of(listing))
    listing.touch()
    with pytest.raises(UserError, match=r"models.tiny: .*earlier turns.*chat: chatml"):
        graph.check_models()


def test_sources_that_are_not_there() -> None:
    local = {"kind": "local", "path": "no/such/folder"}
    line = problem("models/other", local)
    assert line == "config: models.other.path: found no folder no/such/folder"
    task = next(iter(SMALL["tasks"]))
    line = problem(f"tasks/{task}/dataset", "tldr")
    assert line.endswith("not in files: tldr-train, tldr-validation, tldr-test")


def test_prompts_are_asked_for_only_where_that_is_told_apart_from_context() -> None:
    raw = changed("stages/second/loss", "all")
    Graph(load(raw))
    raw["methods"]["two"] = {**RAC, "mix": "two-pass", "label": "Two"}
    assert problems(raw) == [
        "config: stages.second.loss: found 'all' with methods.two of mix 'two-pass';"
        " allowed with bash, plain, rac, random, realigned"
    ]

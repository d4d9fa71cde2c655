"""Configurations of judges: mistakes are one line, shipped names are known."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config
from tests.conftest import SMALL

from selfgen.config import load
from selfgen.core.errors import UserError
from selfgen.graph import benchmarks, judging
from selfgen.graph.steps import Graph

ROOT = Path(__file__).parents[2]
JUDGE = {
    "kind": "endpoint",
    "model": "judge-1",
    "input_price": 1.0,
    "output_price": 1.0,
    "budget": 1.0,
}


HUB = {"repo": "org/set", "revision": "a" * 40, "path": "*.py"}
TASK = "descriptions"


@pytest.mark.parametrize(
    "more, said",
    [
        (
            {"evaluation": {"win_rates": {"x": {"judge": "gtp"}}}},
            "evaluation.win_rates.x.judge: found 'gtp', allowed: gpt, near; nearest: gpt",
        ),
        (
            {"evaluation": {"win_rates": {"x": {"judge": "gpt", "against": "gold"}}}},
            "evaluation.win_rates.x.against: found 'gold', allowed: reference, base",
        ),
        (
            {"evaluation": {"win_rates": {"x": {"judge": "near"}}}},
            "evaluation.win_rates.x.against: found 'reference', which nothing is nearer",
        ),
        (
            {"evaluation": {"win_rates": {"x": {"judge": "gpt", "prompt": "no.txt"}}}},
            "evaluation.win_rates.x.prompt: found no text file no.txt",
        ),
        (
            {
                "evaluation": {
                    "win_rates": {"x": {"judge": "gpt", "prompt": "small.yaml"}}
                }
            },
            "evaluation.win_rates.x.prompt: judge prompt: found no {{post}}",
        ),
        (
            {"evaluation": {"mt_bench": {"judge": "near", "tasks": ["descriptions"]}}},
            "evaluation.mt_bench.judge: found 'near', allowed: gpt",
        ),
        (
            {
                "evaluation": {
                    "mt_bench": {
                        "judge": "gpt",
                        "tasks": ["descriptions"],
                        "questions": "mine",
                    }
                }
            },
            "evaluation.mt_bench.questions: found 'mine', allowed: alpaca-eval-baseline",
        ),
        (
            {"judges": {"gpt": {"budget": -1}}},
            "judges.gpt.budget: found -1, allowed: greater than or equal to 0",
        ),
        (
            {"judges": {"new": {"kind": "endpiont"}}},
            "judges.new.kind: found 'endpiont', allowed: endpoint, similarity, likelihood",
        ),
        (
            {
                "files": {"q": HUB},
                "evaluation": {
                    "mt_bench": {"judge": "gpt", "tasks": [TASK], "questions": "q"}
                },
            },
            "evaluation.mt_bench.questions: found 'q', files of a hub that fit '*.py'",
        ),
        (
            {
                "files": {"q": HUB},
                "evaluation": {"win_rates": {"x": {"judge": "gpt", "prompt": "q:t"}}},
            },
            "evaluation.win_rates.x.prompt: found 'q', files of a hub that fit '*.py'",
        ),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, more: dict, said: str) -> None:
    near = {"kind": "similarity"}
    raw = yaml.safe_load(SMALL.read_text())
    for part in ({"judges": {"gpt": JUDGE, "near": near}}, more):
        update_config(raw, part)
    (tmp_path / "small.yaml").write_text("no prompt")
    with pytest.raises(UserError) as error:
        graph = Graph(load(raw), tmp_path)
        judging.check(graph)
        benchmarks.check(graph)
    assert str(error.value).startswith(f"config: {said}")
    assert "\n" not in str(error.value)


def test_the_shipped_files_suffice(tmp_path: Path) -> None:
    """Every default of a benchmark is a known file; the codebase's judge prompt is one, too,
    and is read when it has been fetched."""
    raw = yaml.safe_load(SMALL.read_text())
    asked = {"judge": "gpt", "tasks": ["descriptions"]}
    comparison = {"judge": "gpt", "prompt": "tldr-judge:template"}
    more = {"win_rates": {"x": comparison}, "alpaca_eval": asked, "mt_bench": asked}
    update_config(raw, {"judges": {"gpt": JUDGE}, "evaluation": more})
    graph = Graph(load(raw), tmp_path)
    judging.check(graph)
    benchmarks.check(graph)
    assert judging.prompt_file(graph, "x") == "tldr-judge"
    spec = judging.spec(graph, "x", "descriptions", 0)
    assert (spec.template, spec.constant) == ("", "template")
    assert benchmarks.names(graph) == ["alpaca-eval", "mt-bench"]


def test_tables_say_how_far_a_proxy_agrees(tmp_path: Path) -> None:
    """The numbers are those of the shipped measurement; without one, that is said."""
    raw = yaml.safe_load(SMALL.read_text())
    judges = {
        "likely": {"kind": "likelihood"},
        "near": {"kind": "similarity"},
        "close": {"kind": "similarity", "to": "prompt"},
    }
    against = {"against": "sft-continued"}
    rates = {name: {"judge": name, **against} for name in judges}
    update_config(raw, {"judges": judges, "evaluation": {"win_rates": rates}})
    said = {n: judging.words(Graph(load(raw), ROOT), n).proxy for n in judges}
    with (ROOT / judging.AGREEMENT).open() as file:
        rows = {row["proxy"]: row for row in csv.DictReader(file)}
    for name, row in (("likely", "likelihood"), ("close", "similarity to the prompt")):
        same = f"{100 * float(rows[row]['agreement']):.0f}"
        assert (
            f"Of {rows[row]['n']} pairs" in said[name] and f"in {same} %" in said[name]
        )
    assert said["near"].endswith("was not measured.")
    bare = judging.words(Graph(load(raw), tmp_path), "likely").proxy
    assert bare.endswith("was not measured.")


@pytest.mark.parametrize("kind", ["likelihood", "similarity"])
def test_a_proxy_computes_in_fp32_whatever_the_run_does(
    tmp_path: Path, kind: str
) -> None:
    """Its ties are of that rounding."""
    raw = yaml.safe_load(SMALL.read_text())
    rates = {"x": {"judge": "near", "against": "sft-continued"}}
    more = {"judges": {"near": {"kind": kind}}, "evaluation": {"win_rates": rates}}
    update_config(raw, {"precision": "bf16"} | more)
    graph = Graph(load(raw), tmp_path)
    assert graph.device().precision == "bf16"
    assert judging.spec(graph, "x", "descriptions", 0).device.precision == "fp32"


def test_how_an_endpoint_is_asked_is_no_part_of_a_spec(tmp_path: Path) -> None:
    """So that changing it reruns nothing; it reaches the job all the same."""
    asked = {"judge": "gpt", "tasks": ["descriptions"]}
    found = []
    for knobs in ({}, {"concurrency": 3, "retries": 1, "timeout": 9.0, "budget": 7.0}):
        raw = yaml.safe_load(SMALL.read_text())
        more = {"win_rates": {"x": {"judge": "gpt"}}, "mt_bench": asked}
        update_config(raw, {"judges": {"gpt": JUDGE | knobs}, "evaluation": more})
        graph = Graph(load(raw), tmp_path)
        specs = (
            judging.spec(graph, "x", "descriptions", 0),
            benchmarks.grades(graph, "mt-bench", "tiny", "sft", 0),
        )
        limits = judging.limits(graph, "x")
        assert benchmarks.limits(graph, "mt-bench") == limits
        found.append((specs, limits))
    (before, defaults), (after, limits) = found
    assert before == after and defaults != limits
    assert (limits.concurrency, limits.retries, limits.timeout) == (3, 1, 9.0)

"""From the configuration of benchmarks to their cells, files and specs."""

from __future__ import annotations

from selfgen import specs as s
from selfgen.config.judging import AlpacaEval, MtBench
from selfgen.contests import endpoint
from selfgen.judge.spec import BenchmarkSpec, GradedSpec, InstructionsSpec, TwoTurnsSpec
from selfgen.nodes import Graph

TITLES = {"alpaca-eval": "alpaca_eval", "mt-bench": "mt_bench"}
"""Benchmarks by the name in paths, and their key in ``evaluation``."""


def check(graph: Graph) -> None:
    """Raises UserError where a benchmark names a file that is not known."""
    for name in names(graph):
        for role, file in files(graph, name).items():
            if file not in graph.files:
                raise s.UserError(
                    f"config: evaluation.{TITLES[name]}.{role}: found {file!r}, allowed:"
                    f" {', '.join(graph.files)}"
                )


def names(graph: Graph) -> list[str]:
    """The benchmarks that are asked for."""
    return [n for n, key in TITLES.items() if getattr(graph.config.evaluation, key)]


def files(graph: Graph, name: str) -> dict[str, str]:
    """What a benchmark reads: the role of each file and its name in ``files``."""
    found = _benchmark(graph, name)
    roles = (
        ("baseline", "gamed")
        if isinstance(found, AlpacaEval)
        else ("questions", "references", "prompts")
    )
    return {role: getattr(found, role) for role in roles if getattr(found, role)}


def cells(graph: Graph, name: str) -> list[s.Cell]:
    """Whose models are asked."""
    tasks = _benchmark(graph, name).tasks
    return [
        cell
        for cell in graph.cells()
        if cell.task in tasks and cell.decoding == "direct"
    ]


def answers(graph: Graph, name: str, seed: int) -> InstructionsSpec | TwoTurnsSpec:
    found = _benchmark(graph, name)
    prompt = s.PromptSpec(
        found.template, "", found.max_prompt_tokens, found.max_new_tokens
    )
    common = {
        "prompt": prompt,
        "seed": seed,
        "device": graph.device(),
        "batch_size": graph.config.decoding.batch_size,
    }
    if isinstance(found, AlpacaEval):
        return InstructionsSpec(sampling=s.Sampling(found.temperature), **common)
    return TwoTurnsSpec(**common)


def graded(graph: Graph, name: str, model: str, node: str, seed: int) -> GradedSpec:
    judge = graph.config.judges[_benchmark(graph, name).judge]
    return GradedSpec(endpoint(judge), f"{model}/{node}/seed{seed}")


def table(graph: Graph, name: str) -> BenchmarkSpec:
    tables = graph.tables()
    return BenchmarkSpec(
        cells=tuple(cells(graph, name)),
        labels=tables.labels,
        judge=graph.config.judges[_benchmark(graph, name).judge].model,
        bootstrap_samples=tables.bootstrap_samples,
        confidence=tables.confidence,
        seed=tables.seed,
    )


def _benchmark(graph: Graph, name: str) -> AlpacaEval | MtBench:
    return getattr(graph.config.evaluation, TITLES[name])

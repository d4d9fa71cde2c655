"""From the configuration of benchmarks to their cells, files and specs."""

from __future__ import annotations

from selfgen.config.benchmarks import AlpacaEval, Benchmark
from selfgen.core.errors import UserError
from selfgen.core.spec import Sampling
from selfgen.data.prompts import PromptSpec
from selfgen.evaluation.few_shot import FewShotSpec
from selfgen.graph import sources
from selfgen.graph.judging import endpoint
from selfgen.graph.steps import Graph
from selfgen.judge.spec import GradedSpec, InstructionsSpec, TwoTurnsSpec
from selfgen.report.spec import Cell
from selfgen.report.tables.alpaca_eval import Judged

FILES = {
    "alpaca-eval": ("baseline", "gamed"),
    "mt-bench": ("questions", "references", "prompts"),
    "gsm8k": ("train", "test"),
    "minerva-math": ("main", "rest"),
}
"""Benchmarks by the name in paths, and the roles of the files that each reads."""

FEW_SHOT = ("gsm8k", "minerva-math")
"""Those that no judge grades."""


def check(graph: Graph) -> None:
    """Raises UserError where a benchmark names a file that is not known."""
    for name in names(graph):
        for role, file in files(graph, name).items():
            if file not in graph.files:
                raise UserError(
                    f"config: evaluation.{_key(name)}.{role}: found {file!r}, allowed:"
                    f" {', '.join(graph.files)}"
                )
            if name not in FEW_SHOT:
                sources.whole(graph.files, f"evaluation.{_key(name)}.{role}", file)


def names(graph: Graph) -> list[str]:
    """The benchmarks that are asked for."""
    return [name for name in FILES if _benchmark(graph, name)]


def files(graph: Graph, name: str) -> dict[str, str]:
    """What a benchmark reads: the role of each file and its name in ``files``."""
    found = {role: getattr(_benchmark(graph, name), role) for role in FILES[name]}
    return {role: file for role, file in found.items() if file}


def cells(graph: Graph, name: str) -> list[Cell]:
    """Whose models are asked."""
    tasks = _benchmark(graph, name).tasks
    return [
        cell
        for cell in graph.cells()
        if cell.task in tasks and cell.decoding == "direct"
    ]


def answers(graph: Graph, name: str, seed: int) -> InstructionsSpec | TwoTurnsSpec:
    found = _benchmark(graph, name)
    prompt = PromptSpec(
        found.template, "", found.max_prompt_tokens, found.max_new_tokens
    )
    common = {
        "prompt": prompt,
        "seed": seed,
        "device": graph.device(),
        "batch_size": graph.config.decoding.batch_size,
    }
    if isinstance(found, AlpacaEval):
        return InstructionsSpec(sampling=Sampling(found.temperature), **common)
    return TwoTurnsSpec(**common)


def graded(graph: Graph, name: str, model: str, node: str, seed: int) -> GradedSpec:
    judge = graph.config.judges[_benchmark(graph, name).judge]
    return GradedSpec(endpoint(judge), f"{model}/{node}/seed{seed}")


def few_shot(graph: Graph, name: str) -> FewShotSpec:
    items, size = _benchmark(graph, name).items, graph.config.decoding.batch_size
    return FewShotSpec(name, items, graph.device(), size)


def judge(graph: Graph, name: str) -> Judged | None:
    """Who judges a benchmark, if anybody does."""
    if name in FEW_SHOT:
        return None
    return Judged(graph.config.judges[_benchmark(graph, name).judge].model)


def _benchmark(graph: Graph, name: str) -> Benchmark:
    return getattr(graph.config.evaluation, _key(name))


def _key(name: str) -> str:
    """The key in ``evaluation`` of a benchmark."""
    return name.replace("-", "_")

"""From the configuration of benchmarks to their cells, files and specs."""

from __future__ import annotations

from typing import Any, cast

from selfgen import benchmarks
from selfgen.benchmarks import BENCHMARKS, FEW_SHOT, JUDGED
from selfgen.config.judging import Endpoint
from selfgen.data.prompts import PromptSpec
from selfgen.evaluation.few_shot import FewShotSpec
from selfgen.graph import judging
from selfgen.graph.rules import RULES
from selfgen.graph.steps import Graph
from selfgen.judge.spec import ConversationsSpec, GradesSpec, Limits
from selfgen.report.spec import Cell
from selfgen.report.tables.benchmark import Graded


def check(graph: Graph) -> None:
    """Raises UserError where a benchmark names a file that is not known."""
    for name in names(graph):
        for key, file in files(graph, name).items():
            where = f"evaluation.{benchmarks.key(name)}.{key}"
            graph.sources.file(where, file)
            if name in JUDGED:
                graph.sources.whole(where, file)


def names(graph: Graph) -> list[str]:
    """The benchmarks that are asked for."""
    return list(graph.config.evaluation.benchmarks())


def judged(graph: Graph) -> list[str]:
    """Those of ``names`` that a judge grades."""
    return [name for name in names(graph) if name in JUDGED]


def few_shot(graph: Graph) -> list[str]:
    """Those of ``names`` that are asked with shots."""
    return [name for name in names(graph) if name in FEW_SHOT]


def files(graph: Graph, name: str, answering: bool = False) -> dict[str, str]:
    """The names in ``files`` of what a benchmark reads, by the keys that name them; only what
    ``answering`` its prompts needs, or all."""
    section = _section(graph, name)
    some = section.answer_files if answering else section.file_keys
    return {key: file for key, file in section.files().items() if key in some}


def cells(graph: Graph, name: str) -> list[Cell]:
    """Whose models are asked."""
    tasks = _section(graph, name).tasks
    return [
        cell
        for cell in graph.cells()
        if cell.task in tasks and cell.decoding == "direct"
    ]


def code(name: str, rule: str) -> tuple[str, ...]:
    """The modules that a step of a benchmark computes with."""
    return RULES[rule].module, benchmarks.module(name)


def answers(graph: Graph, benchmark: str, seed: int) -> ConversationsSpec:
    section = _section(graph, benchmark)
    return ConversationsSpec(
        benchmark=benchmark,
        prompt=PromptSpec(
            section.template, "", section.max_prompt_tokens, section.max_new_tokens
        ),
        temperature=getattr(section, "temperature", 0.0),
        seed=seed,
        device=graph.device(),
    )


def grades(
    graph: Graph, benchmark: str, model: str, checkpoint: str, seed: int
) -> GradesSpec:
    endpoint = judging.endpoint(judge(graph, benchmark))
    return GradesSpec(benchmark, endpoint, f"{model}/{checkpoint}/seed{seed}")


def limits(graph: Graph, name: str) -> Limits:
    """How the judge of a benchmark is asked."""
    return judging.limits_of(judge(graph, name))


def shots(graph: Graph, benchmark: str) -> FewShotSpec:
    return FewShotSpec(benchmark, _section(graph, benchmark).items, graph.device())


def work(graph: Graph, name: str) -> tuple[int, int, int]:
    """How many answers a model writes, and the most tokens of a prompt and of an answer."""
    section = _section(graph, name)
    if name in FEW_SHOT:
        return (
            section.items or section.size,
            section.prompt_tokens,
            section.reply_tokens,
        )
    return section.size, section.max_prompt_tokens, section.max_new_tokens


def words(graph: Graph, name: str) -> Graded:
    """What the table of a benchmark says of it."""
    benchmark = BENCHMARKS[name]
    model = judge(graph, name).model if name in JUDGED else ""
    note = benchmark.note.replace("{judge}", model)
    return Graded(benchmark.table_title, note, benchmark.measures, benchmark.missing)


def judge(graph: Graph, name: str) -> Endpoint:
    """Who grades one of ``judged``."""
    return cast("Endpoint", graph.config.judges[_section(graph, name).judge])


def _section(graph: Graph, name: str) -> Any:
    return graph.config.evaluation.benchmarks()[name]

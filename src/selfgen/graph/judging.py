"""From the configuration of pairwise comparisons to their cells, files and specs."""

from __future__ import annotations

import csv
from dataclasses import fields, replace

from selfgen.config.judging import Endpoint, Judge, Likelihood, Similarity, WinRate
from selfgen.core.errors import UserError, naming
from selfgen.graph import paths
from selfgen.graph.steps import Graph
from selfgen.judge.pairs import template_of
from selfgen.judge.prompt import JUDGE
from selfgen.judge.spec import (
    ComparisonSpec,
    EndpointSpec,
    LikelihoodSpec,
    Limits,
    SimilaritySpec,
)
from selfgen.report.spec import Cell
from selfgen.report.tables.win_rates import WinRates

PROXIES = {
    "reference": "the answer whose embedding is nearer to the reference's wins.",
    "prompt": "the answer whose embedding is nearer to the prompt's wins.",
    "likelihood": "the answer whose tokens are likelier, on average, to the untouched base"
    " model wins.",
}
MEASURED = {"prompt": "similarity to the prompt", "likelihood": "likelihood"}
"""Proxies whose agreement with a judge was measured, and their rows in its table."""

AGREEMENT = "docs/reference/proxies/agreement.csv"


def check(graph: Graph) -> None:
    """Raises UserError where a comparison names a file that is not there, or one that is no
    judge prompt."""
    for name in names(graph):
        judge = _judge(graph, name)
        if isinstance(judge, Similarity):
            graph.sources.wheel(
                f"judges.{_comparison(graph, name).judge}.source", judge.source
            )
        if isinstance(judge, Endpoint):
            _template(graph, name)
        if prompt := prompt_file(graph, name):
            graph.sources.whole(f"evaluation.win_rates.{name}.prompt", prompt)


def names(graph: Graph) -> list[str]:
    """All comparisons."""
    return list(graph.config.evaluation.win_rates)


def cells(graph: Graph, name: str) -> list[Cell]:
    """Whose answers are compared with the opponent's: all but its own."""
    comparison = _comparison(graph, name)
    tasks = comparison.tasks or list(graph.config.tasks)
    return [
        cell
        for cell in graph.cells()
        if cell.task in tasks
        and comparison.against in {"reference", *graph.methods(cell.task)}
        and (cell.method, cell.decoding) != (comparison.against, "direct")
    ]


def opponents(
    graph: Graph, name: str, task: str, model: str, seed: int | str
) -> list[str]:
    """Files of the opponent's answers; none where it is the reference."""
    against = _comparison(graph, name).against
    if against == "reference":
        return []
    own = graph.seeds(task, against)
    seed = seed if int(seed) in own else own[0]
    return [graph.answers_file(task, model, against, "direct", seed)]


def scorer(graph: Graph, name: str, model: str) -> str | None:
    """What a proxy scores with: ``wheel NAME`` or ``weights FOLDER``."""
    judge = _judge(graph, name)
    if isinstance(judge, Endpoint):
        return None
    if isinstance(judge, Similarity):
        return f"wheel {judge.source}"
    return f"weights {paths.fill(paths.BASE, model=model)}"


def spec(
    graph: Graph, comparison: str, task: str, seed: int
) -> ComparisonSpec | SimilaritySpec | LikelihoodSpec:
    section, judge = _comparison(graph, comparison), _judge(graph, comparison)
    split = graph.record_splits(task)[0]
    # A tie is defined for the rounding of fp32.
    exact = replace(graph.device(), precision="fp32")
    if isinstance(judge, Similarity):
        return SimilaritySpec(split, exact, judge.to, judge.member)
    if isinstance(judge, Likelihood):
        return LikelihoodSpec(split, exact, graph.prompt(task))
    template, constant = _template(graph, comparison)
    return ComparisonSpec(
        split=split,
        seed=seed,
        endpoint=endpoint(judge),
        orders=section.orders,
        unparsable=section.unparsable,
        template=template,
        constant=constant,
        temperature=section.temperature,
        max_tokens=section.max_tokens,
    )


def endpoint(judge: Endpoint) -> EndpointSpec:
    return EndpointSpec(judge.model, judge.environment)


def limits(graph: Graph, name: str) -> Limits | None:
    """How the endpoint that decides a comparison is asked; None of a proxy."""
    judge = _judge(graph, name)
    return limits_of(judge) if isinstance(judge, Endpoint) else None


def limits_of(judge: Endpoint) -> Limits:
    """How an endpoint is asked and what that may cost."""
    return Limits(*(getattr(judge, field.name) for field in fields(Limits)))


def judges(graph: Graph) -> dict[str, str]:
    """Who decides each comparison: a model, or a proxy."""
    return {
        name: judge.model if isinstance(judge, Endpoint) else "a proxy"
        for name, judge in ((name, _judge(graph, name)) for name in names(graph))
    }


def words(graph: Graph, name: str) -> WinRates:
    """What the table of a comparison says of it."""
    comparison, judge = _comparison(graph, name), _judge(graph, name)
    decided, proxy = f"the proxy {comparison.judge}", ""
    if isinstance(judge, Endpoint):
        decided = judge.model
    else:
        kind = judge.to if isinstance(judge, Similarity) else judge.kind
        proxy = f"{PROXIES[kind]} {_agreement(graph, kind)}"
    against = comparison.against
    return WinRates(
        comparison=name,
        judge=decided,
        opponent="the reference"
        if against == "reference"
        else graph.config.methods[against].label,
        proxy=proxy,
        coin=comparison.unparsable == "coin",
        primary=comparison.primary,
    )


def _comparison(graph: Graph, name: str) -> WinRate:
    return graph.config.evaluation.win_rates[name]


def _judge(graph: Graph, name: str) -> Judge:
    return graph.config.judges[_comparison(graph, name).judge]


def prompt_file(graph: Graph, name: str) -> str | None:
    """The fetched file that a judge prompt is read from, by its name in ``files``."""
    prompt = _comparison(graph, name).prompt or ""
    file = prompt.partition(":")[0]
    asked = isinstance(_judge(graph, name), Endpoint)
    return file if asked and file in graph.sources.files else None


def _template(graph: Graph, name: str) -> tuple[str, str]:
    """The judge prompt, ours or that of a file of the repository, or else the name of the
    text in a file that is fetched."""
    prompt = _comparison(graph, name).prompt
    if prompt is None:
        return JUDGE, ""
    path, _, constant = prompt.partition(":")
    if prompt_file(graph, name):
        return "", constant
    where = f"config: evaluation.win_rates.{name}.prompt"
    try:
        text = (graph.root / path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise UserError(
            f"{where}: found no text file {path}, and no such name in files:"
            f" {', '.join(graph.sources.files)}"
        ) from None
    with naming(where):
        return template_of(text, constant or None), ""


def _agreement(graph: Graph, kind: str) -> str:
    """How far a proxy agrees with a judge, in words, where that was measured."""
    path = graph.root / AGREEMENT
    if kind not in MEASURED or not path.is_file():
        return "How far it agrees with a judge was not measured."
    with path.open(encoding="utf-8", newline="") as file:
        rows = {row["proxy"]: row for row in csv.DictReader(file)}
    row = rows[MEASURED[kind]]
    same, balanced = (100 * float(row[name]) for name in ("agreement", "balanced"))
    return (
        f"Of {row['n']} pairs that GPT-4 had judged it prefers the same answer in"
        f" {same:.0f} %; {balanced:.0f} % where both winners count alike, 50 for a coin"
        " (docs/judges.md)."
    )
